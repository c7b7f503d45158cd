// Part of the Gram of samples too many for all of it: the Gaussian kernel of some samples with others.
//
//   x        samples (m, d), dense; y (k, d): centred, and divided by the kernel's width
//   shift    what is taken off the entries, so that T rounds what they differ by
//   out      out(i, j) = exp(-|x_i - y_j|^2 / 2) - shift, (m, k), dense, owned by the caller, every element written
//   returns  the sum of the squares of the entries, before the shift
//
// Distances are |x|^2 + |y|^2 - 2 x y, by a matrix product, in double: of samples at a distance r from the centre they
// lose r^2 of what rounding is, which the caller has to bear.
#pragma once
#include "common/view.hpp"

namespace fastrenyi {
namespace cpu {

/// Workspace: per thread 64 k doubles, and m + k.
template <class T>
double gaussian_tile(const double* x, index_t m, const double* y, index_t k, index_t d, double shift, T* out,
                     int threads);

}  // namespace cpu
}  // namespace fastrenyi
