// From the gradient with respect to Gaussian or Laplacian Grams to that with respect to their samples.
//
//   x      (b, n, d), any strides
//   width  (b,); a width of zero, the narrow limit, has no slope
//   a      (b, n, n), dense, the Grams of x
//   grad   (b, n, n), dense, of any symmetry
//   out    (b, n, d), dense, owned by the caller, every element written
//
// dA_ij = -A_ij <x_i - x_j, dx_i - dx_j> / width^2 (Gaussian), -A_ij <sign(x_i - x_j), dx_i - dx_j> / width
// (Laplacian): with W = (grad + grad') o A a sample is pulled by w_ij (x_j - x_i), or the sign of that. Explicit
// differences, as for the Gram itself; no (n, n, d) array is made. Runs in the element type; results do not depend on
// the number of threads.
#pragma once
#include "ops/gram.hpp"

namespace fastrenyi::cpu {

/// Workspace: b n d elements, and per thread 64 (n + d). Cost 3 n^2 d operations a matrix.
template <class T>
void gram_slope(const View<T>& x, Kernel kind, const double* width, const T* a, const T* grad, T* out, int threads);

}  // namespace fastrenyi::cpu
