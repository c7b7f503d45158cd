// Matrices of a batch in blocks of rows.
#pragma once
#include <functional>

#include "common/view.hpp"

namespace fastrenyi::cpu {

constexpr index_t block_rows = 64;

/// Calls body(b, first, last, worker) for blocks of `block_rows` rows that cover each matrix, the same whatever the
/// number of threads.
void for_each_block(index_t batch, index_t n, int threads,
                    const std::function<void(index_t, index_t, index_t, int)>& body);

}  // namespace fastrenyi::cpu
