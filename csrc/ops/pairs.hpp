// Joint entropies of pairs of the C maps of a layer, alone and with a target.
//
//   maps     (C, n, n), any strides: Grams
//   target   (1, n, n) or nothing
//   pairs    (p, 2), dense: which two maps; a pair (i, i) stands for the map i alone
//   alone    (p, m), dense: unit * S_alpha(T_i, T_j) for each of m orders; epsilon and unit as in entropy.hpp
//   joint    (p, m), dense: unit * S_alpha(T_i, T_j, target); untouched without a target
//
// Products are made in the workspace of the spectrum and nothing of them is kept: the workspace is at most 64 MB, or
// that of one thread (a matrix, its copy and what LAPACK adds) where that is more.
// At order 2 alone no spectrum is computed, and many pairs are one matrix product. Verdicts carry the index of the
// pair.
#pragma once
#include <cstddef>

#include "common/error.hpp"
#include "common/stream.hpp"
#include "common/view.hpp"

namespace fastrenyi {

constexpr index_t pairs_workspace_bytes = index_t(64) << 20;

namespace cpu {

template <class T>
Verdict pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count,
              const double* orders, index_t order_count, double epsilon, double unit, T* alone, T* joint, int threads);

}  // namespace cpu

/// Everything but the orders in the memory of the current device. Up to order block_order() (spectrum.hpp) a block of
/// threads makes one product in its registers and only the entropies leave it; larger products go through the
/// workspace, a tile at a time, to cuSOLVER. What is wrong with a product is reported as of its pair, and its entropies
/// are NaN. Other than on the CPU a target's block structure is not used.
namespace cuda {

/// Bytes of device memory that pairs() needs, aligned to 16.
template <class T>
std::size_t pairs_workspace(index_t pair_count, index_t n, bool has_target);

template <class T>
void pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count, const double* orders,
           index_t order_count, double epsilon, double unit, T* alone, T* joint, void* workspace,
           std::size_t workspace_bytes, Status* status, Stream stream);

}  // namespace cuda
}  // namespace fastrenyi
