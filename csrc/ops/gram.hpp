// Gram matrices and distances of batches of samples.
//
//   x       (b, n, d), any strides, float or double; read in place where col_stride is 1, else packed row by row
//   out     (b, n, n), dense, owned by the caller, every element written, exactly symmetric
//
// Gram: A_ij = K_ij / (n sqrt(K_ii K_jj)). The diagonal is exactly 1/n, rounded once.
// Sums run in double from explicit differences of the samples, so they are right for data far from the origin.
// (Squares of floats are all of one sign: 512 of them at a time are summed as floats.) Gaussian Grams of 32 samples of
// 16 features or more take products of samples about their mean instead, and differences where those would lose digits:
// squared distances are right to 1e-12 relative in double, and to some roundings of a float in float.
// Where a width is so far from one that squares could leave the range, differences are divided by it first.
#pragma once
#include "common/stream.hpp"
#include "common/view.hpp"

namespace fastrenyi {

enum class Kernel {
    gaussian,    ///< exp(-|x - y|_2^2 / (2 width^2))
    laplacian,   ///< exp(-|x - y|_1 / width)
    polynomial,  ///< (gamma <x, y> + coef0)^degree; the cosine kernel is gamma = 1, coef0 = 0, degree = 1
};

struct KernelSpec {
    Kernel kind = Kernel::gaussian;
    const double* width =
        nullptr;  ///< (b,), for gaussian and laplacian; zero is the narrow limit: equal rows 1, else 0
    int degree = 1;
    double gamma = 1.0, coef0 = 0.0;  ///< a row with gamma |x|^2 + coef0 = 0 has no polynomial Gram: refused above
};

enum class Metric { euclidean, manhattan };

namespace cpu {

/// Workspace: per thread 32 n doubles, n d elements of x where they are packed for products, and as many where rows
/// must be packed. False where a sample is not finite: then `out` is of no use.
template <class T>
bool gram(const View<T>& x, const KernelSpec& kernel, T* out, int threads);

/// Distances themselves, right to 1e-12 relative in double at any offset and scale, for differences within a factor of
/// 1e150 of the largest magnitude.
template <class T>
void distances(const View<T>& x, Metric metric, T* out, int threads);

/// The kernel that is 1 where two rows are equal in every feature and 0 elsewhere. T may be an integer.
template <class T>
void delta_gram(const View<T>& x, double* out, int threads);

}  // namespace cpu

/// x, out and the widths in the memory of the device; no workspace.
namespace cuda {

/// Without widths, sigma is that of all matrices. What is not finite is reported, unless status is null. Sums over
/// features of floats, up to 128 samples, are made of floats in pieces of 32.
template <class T>
void gram(const View<T>& x, const KernelSpec& kernel, double sigma, T* out, Status* status, Stream stream);

template <class T>
void distances(const View<T>& x, Metric metric, T* out, Stream stream);

template <class T>
void delta_gram(const View<T>& x, double* out, Stream stream);

}  // namespace cuda
}  // namespace fastrenyi
