// What a part of a large symmetric matrix adds to the product of the whole with vectors.
//
//   tile         (m, k), dense, on or above the diagonal of a symmetric matrix
//   x, y         the vectors at the tile's rows (m, p) and at its columns (k, p), dense
//   to_rows      (m, p), dense: tile y is added
//   to_columns   (k, p), dense: tile' x is added, what stands below the diagonal; null for a tile on the diagonal
//
// Products are in T over at most 64 entries; their sums are in double, so that single precision loses no more to long
// sums than to short ones. Each tile is one thread's as little as another's: rows, then columns, are shared out.
#pragma once
#include "common/view.hpp"

namespace fastrenyi {
namespace cpu {

/// Workspace: per thread 256 p of T.
template <class T>
void tile_product(const T* tile, index_t m, index_t k, const T* x, const T* y, index_t p, double* to_rows,
                  double* to_columns, int threads);

}  // namespace cpu
}  // namespace fastrenyi
