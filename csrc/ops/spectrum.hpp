// Eigenvalues, and eigenvectors, of a batch of symmetric matrices.
//
//   a        (b, n, n), any strides, symmetric; only one triangle is read
//   values   (b, n), dense, ascending, owned by the caller
//   vectors  (b, n, n), dense; column j of a matrix belongs to value j, as in numpy.linalg.eigh
//
// One thread to a matrix, BLAS on one thread meanwhile: results do not depend on the number of threads. Only a single
// matrix is served by BLAS's own threads, for eigenvalues of order above 768, with eigenvectors from 512 on; its last
// bits depend on how many they are. Throws LapackError for a matrix on which LAPACK does not converge.
#pragma once
#include "common/error.hpp"
#include "common/view.hpp"

namespace fastrenyi::cpu {

/// Workspace: per thread n^2 + O(n) elements.
template <class T>
void spectrum(const View<T>& a, T* values, int threads);

/// Workspace: per thread 3 n^2 + O(n) elements.
template <class T>
void eigh(const View<T>& a, T* values, T* vectors, int threads);

}  // namespace fastrenyi::cpu
