// The slope of entropies: dS/dA, of symmetric matrices of any trace.
//
//   S_alpha(A) = log2(sum_i p_i^alpha) / (1 - alpha), p = lambda / tr A; its gradient is the matrix f(A), with
//   f(lambda) = dS/d lambda: V f(Lambda) V' without the eigenvectors V. With A = Q T Q', T tridiagonal, it is Q f(T)
//   Q', and f(T) a sum of resolvents (T + t)^-1: an integral of lambda^beta = c int t^beta / (t + lambda) d log t that
//   the trapezoidal rule takes to rounding.
//
//   a        views (b_k, n, n), any strides, symmetric; only one triangle is read. Together they are b matrices
//   values   (b, n), dense, the eigenvalues in ascending order
//   reduced  (b, n + 3, n), dense: the reflections that make A tridiagonal, then T's diagonal, its off-diagonal and the
//            eigenvalues; owned by the caller
//   grads    (b, m), what each entropy is to be weighed with
//   orders   (m,), each in [0, 64]: an order of 0 has no slope
//   out      (b, n, n), dense, symmetric
//
// Both run in the element type, the resolvents' factors in double. An eigenvalue that is rounding, and could as well be
// zero, counts as one of that size: f stays finite where it is infinite at zero. One thread to a matrix: results do not
// depend on the number of threads. Throws LapackError for a matrix whose eigenvalues were not found.
#pragma once
#include <vector>

#include "common/error.hpp"
#include "common/view.hpp"

namespace fastrenyi::cpu {

/// Of order alpha the gradient is A^(alpha - 1), whose whole powers are products of matrices: one for each unit of
/// alpha. Above this order the caller takes eigenvectors.
constexpr double largest_slope_order = 64.0;

/// Workspace: per thread n^2 + O(n) elements. 4/3 n^3 + O(n^2) operations.
template <class T>
void reduce(const std::vector<View<T>>& a, T* values, T* reduced, int threads);

/// Workspace: per thread 2 n^2 + O(n) elements. 2 n^3 + O(n^2) operations, however many orders.
template <class T>
void slope(const T* reduced, index_t batch, index_t n, const double* grads, const double* orders, index_t order_count,
           double unit, T* out, int threads);

}  // namespace fastrenyi::cpu
