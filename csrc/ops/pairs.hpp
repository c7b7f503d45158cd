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
#include <functional>

#include "common/error.hpp"
#include "common/view.hpp"

namespace fastrenyi {

constexpr index_t pairs_workspace_bytes = index_t(64) << 20;

namespace cpu {

/// `between_tiles` is called now and then on the calling thread, and may throw to stop.
template <class T>
Verdict pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count,
              const double* orders, index_t order_count, double epsilon, double unit, T* alone, T* joint, int threads,
              const std::function<void()>& between_tiles);

}  // namespace cpu
}  // namespace fastrenyi
