// How large a matrix may be that a block holds in its shared memory.
#pragma once
#include <algorithm>

#include "cuda/check.hpp"
#include "cuda/tridiagonal.hpp"

namespace fastrenyi::cuda {

/// Bytes of dynamic shared memory that a block can be given on the current device.
inline std::size_t most_shared_bytes() {
#ifdef __CUDACC__
    int device = 0, bytes = 0;
    check(cudaGetDevice(&device), "asking for the current device");
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "asking for shared memory");
    return static_cast<std::size_t>(std::max(bytes - 1024, 0));  // what the sums of a block need, and some room
#else
    return 162 * 1024;  // as on an A100
#endif
}

template <class T>
std::size_t shared_bytes(index_t n) {
    std::size_t bytes = 0;
    with_shares(n,
                [&](auto shares) { bytes = Room<T>::bytes(n, decltype(shares)::row_tiles, decltype(shares)::warps); });
    return bytes;
}

}  // namespace fastrenyi::cuda
