// Pairs at order 2 alone, where the entropy is a Frobenius norm and no spectrum is needed.
#pragma once
#include "common/error.hpp"
#include "common/view.hpp"

namespace fastrenyi::cpu {

/// As pairs() in ops/pairs.hpp. For all pairs of C maps the squared norms are one matrix product: with Q the squared
/// elements of each map as a row, |T_i o T_j|_F^2 = (Q Q')_ij. Workspace: 16 MB and 2 C^2 numbers.
template <class T>
Verdict collision_pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count,
                        double unit, T* alone, T* joint, int threads);

}  // namespace fastrenyi::cpu
