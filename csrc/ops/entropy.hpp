// Renyi entropies from spectra.
//
//   spectra  (b, n), dense; clipped as below and divided by their sum
//   orders   (m,), each in [0, inf]; any number of orders share a spectrum
//   epsilon  the machine epsilon of the dtype the matrices were made in (half precision is computed in float)
//   out      (b, m), dense: unit * S_alpha in bits, S_alpha = log2(sum_i p_i^alpha) / (1 - alpha)
//
// 0, 1, 2 and inf are the exact limits: log2 rank, von Neumann, collision, -log2 of the largest. Near 1 the formula
// runs through expm1 and log1p. Sums run in double. An eigenvalue above -max(n, 8) epsilon lambda_max and below zero is
// rounding and counts as zero; a lower one makes the matrix indefinite: the verdict names the first such matrix with
// its lowest eigenvalue.
#pragma once
#include <vector>

#include "common/error.hpp"
#include "common/stream.hpp"
#include "common/view.hpp"

namespace fastrenyi {

/// Matrices of lower order are judged as of this one: sums of products and solvers err by several epsilons however
/// small they are. Of 400,000 singular Grams each the lowest eigenvalue was -4.1 of them at n = 3, -6.0 at
/// 8.
constexpr index_t least_judged = 8;

namespace cpu {

/// Of a product of Grams, scaled (cpu/product.hpp): its squared Frobenius norm and its trace.
struct Purity {
    double squares = 0.0, trace = 0.0;
};
static_assert(sizeof(Purity) == 2 * sizeof(double), "Python has them as rows of two");

template <class T>
Verdict entropy(const T* spectra, index_t batch, index_t n, const double* orders, index_t order_count, double epsilon,
                double unit, T* out, int threads);

/// Order 2 of the joint variables of subsets of Grams (b, n, n), by position, without their joint Grams (hadamard.hpp)
/// and without a spectrum: S_2 = -log2(|P|_F^2 / tr(P)^2) for the product P. out (subsets, b); `purities` (subsets, b),
/// for the slope. The verdict names the first product of trace zero, of all.
template <class T>
Verdict collision_entropy(const std::vector<View<T>>& grams, const std::vector<std::vector<index_t>>& subsets,
                          double unit, T* out, Purity* purities, int threads);

}  // namespace cpu

/// spectra, a and out in the memory of the device; `orders` in the host's, and free when the call returns.
namespace cuda {

/// An indefinite matrix, or one of zeros (Finding::trace), is reported to `status`, and its entropies are NaN.
template <class T>
void entropy(const T* spectra, index_t batch, index_t n, const double* orders, index_t order_count, double epsilon,
             double unit, T* out, Status* status, Stream stream);

template <class T>
void collision_entropy(const View<T>& a, double unit, T* out, Stream stream);

}  // namespace cuda
}  // namespace fastrenyi
