#include "cpu/blocks.hpp"

#include <algorithm>

#include "common/parallel.hpp"

namespace fastrenyi::cpu {

void for_each_block(index_t batch, index_t n, int threads,
                    const std::function<void(index_t, index_t, index_t, int)>& body) {
    const index_t blocks = (n + block_rows - 1) / block_rows;
    parallel_for(batch * blocks, threads, [&](index_t piece, int worker) {
        const index_t first = piece % blocks * block_rows;
        body(piece / blocks, first, std::min(n, first + block_rows), worker);
    });
}

}  // namespace fastrenyi::cpu
