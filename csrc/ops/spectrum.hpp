// Eigenvalues, and eigenvectors, of a batch of symmetric matrices.
//
//   a        (b, n, n), any strides, symmetric; one triangle is read, of large matrices both
//   values   (b, n), dense, ascending, owned by the caller
//   vectors  (b, n, n), dense; column j of a matrix belongs to value j, as in numpy.linalg.eigh
//
// One thread to a matrix, and all to a single one of order above 768; BLAS on one thread meanwhile: results do not
// depend on the number of threads. Eigenvectors up to order 16 are by
// rotations, several matrices at once. Only those of a single matrix, from order 512 on, are by BLAS's own threads;
// their last bits depend on how many they are. Throws LapackError for a matrix on which LAPACK does not converge.
#pragma once
#include <cstddef>

#include "common/error.hpp"
#include "common/stream.hpp"
#include "common/view.hpp"

namespace fastrenyi {
namespace cpu {

/// Workspace: per thread n^2 + O(n) elements.
template <class T>
void spectrum(const View<T>& a, T* values, int threads);

/// Workspace: per thread 3 n^2 + O(n) elements.
template <class T>
void eigh(const View<T>& a, T* values, T* vectors, int threads);

}  // namespace cpu

/// Everything in the memory of the current device. Up to order block_order() a block of threads reduces a matrix in its
/// registers; larger matrices, and all eigenvectors, are cuSOLVER's, which may synchronise. What it does not solve
/// comes back as NaN.
namespace cuda {

/// The largest order of a matrix that one block of threads holds.
template <class T>
index_t block_order();

/// Bytes of device memory that spectrum() needs, aligned to 16: nothing up to block_order(), beyond it at most 64 MB or
/// one matrix, and what cuSOLVER asks for.
template <class T>
std::size_t spectrum_workspace(index_t batch, index_t n);

template <class T>
void spectrum(const View<T>& a, T* values, void* workspace, std::size_t workspace_bytes, Stream stream);

template <class T>
std::size_t eigh_workspace(index_t batch, index_t n);

template <class T>
void eigh(const View<T>& a, T* values, T* vectors, void* workspace, std::size_t workspace_bytes, Stream stream);

}  // namespace cuda
}  // namespace fastrenyi
