// How a kernel is written and started, once for the device and for the host.
//
// A kernel is a struct of plain members with
//
//     template <class Block> FASTRENYI_DEVICE void operator()(Block& block) const;
//
// and, where it needs more registers than 1024 threads leave, `static constexpr int max_threads`. nvcc makes a
// __global__ function of it (device_block.hpp). Any other compiler makes it run on the host (emulated_block.hpp), with
// the same indices, barriers and shared memory, where sanitizers can see them.
//
// What a Block offers:
//   index()           which block of the grid this is
//   thread()          which thread of the block; threads(): how many, a multiple of warp_size
//   lane(), warp()    which thread of its warp, and which warp of the block
//   sync()            a barrier of the block. All threads must come to it; those that left early would be waited for
//   sync_warp()       a barrier of the 32 threads of a warp
//   shared<T>()       the block's dynamic shared memory, aligned to 16 bytes, of unknown content
//   warp_sum(x), warp_largest(x)  over a warp, to each of its threads; a barrier of the warp
//   shuffle_xor(x, mask)          the x of another thread of the warp; all of it calls. Orders no memory
//   sum(x), largest(x), any(x)    over the block, to each of its threads; a barrier of the block
//   atomic_min(word, value)
//
// The order of additions depends on threads() alone, so results repeat to the last bit. A kernel is compiled with
// --expt-relaxed-constexpr: constexpr functions may be called.
#pragma once
#include <cstddef>

#include "common/stream.hpp"
#include "common/view.hpp"

#ifdef __CUDACC__
#define FASTRENYI_DEVICE __device__ __forceinline__  // what has a Block, or is for kernels alone
#define FASTRENYI_HD __host__ __device__             // plain arithmetic of both sides
#else
#define FASTRENYI_DEVICE inline
#define FASTRENYI_HD
#endif

namespace fastrenyi::cuda {

constexpr int warp_size = 32;

/// Shared memory that is kept for what the sums of a block need, and some room.
constexpr std::size_t kept_shared_bytes = 1024;

/// Bytes of dynamic shared memory that a block can be given on the current device.
inline std::size_t most_shared_bytes();

/// Notes what is wrong with a matrix; the first one is kept.
template <class Block>
FASTRENYI_DEVICE void report(Block& block, Status* status, index_t matrix, Finding finding) {
    block.atomic_min(status, status_word(matrix, finding));
}

/// The threads a kernel is compiled for.
template <class Kernel, class = void>
struct MaxThreads {
    static constexpr int value = 1024;
};
template <class Kernel>
struct MaxThreads<Kernel, decltype(void(Kernel::max_threads))> {
    static constexpr int value = Kernel::max_threads;
};

/// The blocks of a kernel that a multiprocessor is to have registers for: `static constexpr int min_blocks`, or
/// whatever the compiler thinks best.
template <class Kernel, class = void>
struct MinBlocks {
    static constexpr int value = 0;
};
template <class Kernel>
struct MinBlocks<Kernel, decltype(void(Kernel::min_blocks))> {
    static constexpr int value = Kernel::min_blocks;
};

/// Puts `kernel` into the stream, on the current device. No blocks: nothing happens. Throws CudaError if it cannot be
/// started; that it failed later is for the caller's next synchronisation to say.
template <class Kernel>
void launch(const Kernel& kernel, index_t blocks, int threads, std::size_t shared_bytes, Stream stream);

}  // namespace fastrenyi::cuda

#ifdef __CUDACC__
#include "cuda/device_block.hpp"
#else
#include "cuda/emulated_block.hpp"
#endif
