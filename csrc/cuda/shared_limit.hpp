// How large a matrix may be that a block holds in its shared memory.
#pragma once
#include "cuda/launch.hpp"
#include "cuda/tridiagonal.hpp"

namespace fastrenyi::cuda {

template <class T>
std::size_t shared_bytes(index_t n) {
    std::size_t bytes = 0;
    with_shares(n, [&](auto shares) {
        bytes = TridiagonalWorkspace<T>::bytes(n, decltype(shares)::row_tiles, decltype(shares)::warps);
    });
    return bytes;
}

}  // namespace fastrenyi::cuda
