// A symmetric matrix made a band, whose eigenvalues are the same: most of the work is then matrix products, and the
// matrix is read once for every `band_width` of its columns.
#pragma once
#include "common/view.hpp"
#include "cpu/simd/engine.hpp"

namespace fastrenyi::cpu {

/// Overwrites a column-major symmetric matrix, columns `ld` apart, of an order that is a multiple of band_width, both
/// triangles given; rows of zeros at its end stay zeros. Column j of the band, band_stride after the last one's, holds
/// elements (j, j) to (j + band_width, j). BLAS is to be held at one thread.
template <class T>
void reduce_to_band(T* a, index_t n, index_t ld, T* band, int threads);

/// Overwrites a band of order n, whose columns are followed by 2 band_width of zeros, with one that has nothing but its
/// diagonal and the one below.
template <class T>
void reduce_band(T* band, index_t n, int threads);

// Both give the same bits whatever the number of threads is.

}  // namespace fastrenyi::cpu
