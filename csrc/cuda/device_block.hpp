// A block of threads on the device, and how a kernel is started there. Included by launch.hpp alone.
#pragma once
#include <cuda_runtime.h>

#include "cuda/check.hpp"
#include "cuda/launch.hpp"

namespace fastrenyi::cuda {

class DeviceBlock {
  public:
    /// The warp is told by one lane, so that the compiler knows that it is the same in all of them: branches on it cost
    /// less.
    explicit __device__ DeviceBlock(index_t first)
        : first_(first), warp_(__shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / warp_size, 0)) {}

    __device__ index_t index() const { return first_ + blockIdx.x; }
    __device__ int thread() const { return static_cast<int>(threadIdx.x); }
    __device__ int threads() const { return static_cast<int>(blockDim.x); }
    __device__ int lane() const { return thread() % warp_size; }
    __device__ int warp() const { return warp_; }
    __device__ void sync() { __syncthreads(); }
    __device__ void sync_warp() { __syncwarp(); }

    template <class T>
    __device__ T* shared() {
        extern __shared__ __align__(16) unsigned char fastrenyi_shared[];
        return reinterpret_cast<T*>(fastrenyi_shared);
    }

    template <class T>
    __device__ T warp_sum(T x) {
        __syncwarp();  // a shuffle alone does not order memory
        for (int step = 1; step < warp_size; step *= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
        return x;
    }

    template <class T>
    __device__ T warp_largest(T x) {
        __syncwarp();
        for (int step = 1; step < warp_size; step *= 2) {
            const T other = __shfl_xor_sync(0xffffffffu, x, step);
            if (other > x) x = other;
        }
        return x;
    }

    /// By matrix products with ones, each of which sums over four lanes: a third of the time of five shuffles.
    __device__ double warp_sum(double x) {
        __syncwarp();
        double first, second;
        asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%4, %4};"
                     : "=d"(first), "=d"(second)
                     : "d"(1.0), "d"(x), "d"(0.0));
        const double pair = first + second;
        asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%4, %4};"
                     : "=d"(first), "=d"(second)
                     : "d"(pair), "d"(1.0), "d"(0.0));
        return first;
    }

    template <class T>
    __device__ T shuffle_xor(T x, int mask) {
        return __shfl_xor_sync(0xffffffffu, x, mask);
    }
    template <class T>
    __device__ T sum(T x) {
        return over_block(warp_sum(x), [](T a, T b) { return a + b; });
    }

    template <class T>
    __device__ T largest(T x) {
        return over_block(warp_largest(x), [](T a, T b) { return b > a ? b : a; });
    }

    __device__ bool any(bool x) { return __syncthreads_or(x); }

    __device__ void atomic_min(Status* word, Status value) { atomicMin(word, value); }

  private:
    /// One for all types, so that it is paid for once.
    static __device__ double* slots() {
        __shared__ double memory[1024 / warp_size];
        return memory;
    }

    /// Folds one value a warp.
    template <class T, class F>
    __device__ T over_block(T x, F fold) {
        T* warps = reinterpret_cast<T*>(slots());
        if (thread() % warp_size == 0) warps[thread() / warp_size] = x;
        __syncthreads();
        x = warps[0];
        for (int warp = 1; warp < threads() / warp_size; ++warp) x = fold(x, warps[warp]);
        __syncthreads();  // the next call writes here
        return x;
    }

    index_t first_;
    int warp_;
};

inline std::size_t most_shared_bytes() {
    int device = 0, bytes = 0;
    check(cudaGetDevice(&device), "asking for the current device");
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "asking for shared memory");
    const auto all = static_cast<std::size_t>(bytes);
    return all > kept_shared_bytes ? all - kept_shared_bytes : 0;
}

template <class Kernel>
__global__ void __launch_bounds__(MaxThreads<Kernel>::value, MinBlocks<Kernel>::value)
    run(const __grid_constant__ Kernel kernel, index_t first) {
    DeviceBlock block(first);
    kernel(block);
}

template <class Kernel>
void launch(const Kernel& kernel, index_t blocks, int threads, std::size_t shared_bytes, Stream stream) {
    constexpr index_t grid_limit = 2147483647;
    // More has to be asked for, the static part counted in. As much as there is: another thread that is about to start
    // the kernel may need more than this one.
    if (shared_bytes + kept_shared_bytes > 48 * 1024)
        check(cudaFuncSetAttribute(run<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(most_shared_bytes())),
              "shared memory for a kernel");
    for (index_t first = 0; first < blocks; first += grid_limit) {
        const index_t rest = blocks - first;
        const auto grid = static_cast<unsigned>(rest < grid_limit ? rest : grid_limit);
        run<Kernel><<<grid, static_cast<unsigned>(threads), shared_bytes, stream>>>(kernel, first);
        check(cudaGetLastError(), "starting a kernel");
    }
}

}  // namespace fastrenyi::cuda
