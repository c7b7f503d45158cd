// Eigenvalues of one matrix by LAPACK, in pieces that a call can be interrupted between.
#pragma once
#include <vector>

#include "common/view.hpp"

namespace fastrenyi::cpu {

/// What xSYEVD, and of large matrices xSYEVD_2STAGE, does when no eigenvectors are wanted, to the last bit: the loops
/// are theirs, and the steps LAPACK's and BLAS's own. One thread's workspace for matrices of one size.
template <class T>
class Eigenvalues {
  public:
    explicit Eigenvalues(index_t n);

    /// Overwrites the symmetric `a`. Throws LapackError where there is no convergence.
    void solve(T* a, T* values);

    /// Room for one matrix, for callers that have none to overwrite.
    T* scratch();

  private:
    void reduce(T* a, T* diagonal);
    void reduce_to_band(T* a);
    void reduce_band(T* diagonal, int reflections_size, int work_size);

    int n_;
    bool by_band_;
    std::vector<T> off_, tau_, work_, band_, products_, reflections_, scratch_;
};

}  // namespace fastrenyi::cpu
