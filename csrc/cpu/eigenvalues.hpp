// Eigenvalues of one matrix too large for the engines of csrc/cpu/simd, which read it too often.
#pragma once
#include <vector>

#include "common/view.hpp"

namespace fastrenyi::cpu {

/// To a band by products of matrices, to tridiagonal form by chasing bulges, and LAPACK's xSTERF. One thread's
/// workspace for matrices of one size, whose steps are shared out to `threads`. BLAS is to be held at one.
template <class T>
class Eigenvalues {
  public:
    explicit Eigenvalues(index_t n, int threads = 1);

    /// Room for the symmetric matrix, all of it, of rows (or columns) `ld` apart; zeros from n on.
    T* matrix() { return matrix_.data(); }
    index_t ld() const { return ld_; }

    /// Overwrites the matrix. Throws LapackError where there is no convergence.
    void solve(T* values);

  private:
    void solve_scaled(T* values);

    index_t n_, order_, ld_;
    int threads_;
    std::vector<T> matrix_, band_, off_;
};

}  // namespace fastrenyi::cpu
