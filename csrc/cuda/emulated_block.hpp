// A block of threads on the host, for tests where there is no device. Included by launch.hpp alone.
//
// Threads are real ones and so is the barrier, and nothing else orders them: ThreadSanitizer finds a barrier that is
// missing. Shared memory lies in an allocation of exactly the bytes asked for, where AddressSanitizer finds what is
// outside of it, and holds NaN before each block.
#pragma once
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cuda/launch.hpp"

namespace fastrenyi::cuda {

/// A barrier for a fixed number of threads that wait for each other again and again.
class Barrier {
  public:
    explicit Barrier(int members = 0) : members_(members) {}

    /// `place` tells barriers of a kernel apart: threads that meet at two of them would hang a device.
    void wait(int place) {
        const unsigned turn = turn_.load(std::memory_order_acquire);
        int expected = -1;
        if (!place_.compare_exchange_strong(expected, place) && expected != place) {
            std::fputs("fastrenyi: the threads of a block wait at different barriers\n", stderr);
            std::abort();
        }
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
            arrived_.store(0, std::memory_order_relaxed);
            place_.store(-1, std::memory_order_relaxed);
            turn_.store(turn + 1, std::memory_order_release);
        } else {
            while (turn_.load(std::memory_order_acquire) == turn) std::this_thread::yield();
        }
    }

  private:
    int members_;
    std::atomic<int> arrived_{0}, place_{-1};
    std::atomic<unsigned> turn_{0};
};

/// What the threads of a block share.
struct Team {
    Team(int count, std::size_t shared_bytes)
        : threads(count),
          shared(static_cast<unsigned char*>(::operator new(shared_bytes, std::align_val_t(16)))),
          slots(static_cast<std::size_t>(count)),
          whole(count),
          warps(static_cast<std::size_t>(count / warp_size)) {
        for (auto& warp : warps) warp = std::make_unique<Barrier>(warp_size);
    }

    int threads;
    struct Free {
        void operator()(unsigned char* memory) const { ::operator delete(memory, std::align_val_t(16)); }
    };
    std::unique_ptr<unsigned char, Free> shared;
    std::vector<double> slots;  // a value of each thread on its way to the others
    Barrier whole;
    std::vector<std::unique_ptr<Barrier>> warps;
};

class EmulatedBlock {
  public:
    EmulatedBlock(Team& team, index_t index, int thread) : team_(team), index_(index), thread_(thread) {}

    index_t index() const { return index_; }
    int thread() const { return thread_; }
    int threads() const { return team_.threads; }
    void sync(int line = __builtin_LINE()) { team_.whole.wait(line); }
    void sync_warp(int line = __builtin_LINE()) { team_.warps[thread_ / warp_size]->wait(line); }

    template <class T>
    T* shared() {
        return reinterpret_cast<T*>(team_.shared.get());
    }

    template <class T>
    T warp_sum(T x) {
        put(x);
        team_.warps[thread_ / warp_size]->wait(at_sum);
        const T result = sum_of_warp<T>(thread_ / warp_size);
        team_.warps[thread_ / warp_size]->wait(at_sum);
        return result;
    }

    template <class T>
    T warp_largest(T x) {
        put(x);
        team_.warps[thread_ / warp_size]->wait(at_largest);
        const T result = largest_from<T>(thread_ / warp_size * warp_size, warp_size);
        team_.warps[thread_ / warp_size]->wait(at_largest);
        return result;
    }

    template <class T>
    T shuffle_xor(T x, int mask) {
        return from_lane(x, thread_ % warp_size ^ mask);
    }
    template <class T>
    T from_lane(T x, int lane) {
        put(x);
        team_.warps[thread_ / warp_size]->wait(at_exchange);
        const T result = get<T>(thread_ / warp_size * warp_size + lane);
        team_.warps[thread_ / warp_size]->wait(at_exchange);
        return result;
    }

    template <class T>
    T sum(T x) {
        put(x);
        team_.whole.wait(at_sum);
        T result = sum_of_warp<T>(0);
        for (int warp = 1; warp < threads() / warp_size; ++warp) result += sum_of_warp<T>(warp);
        team_.whole.wait(at_sum);
        return result;
    }

    template <class T>
    T largest(T x) {
        put(x);
        team_.whole.wait(at_largest);
        const T result = largest_from<T>(0, threads());
        team_.whole.wait(at_largest);
        return result;
    }

    void atomic_min(Status* word, Status value) {
        Status seen = __atomic_load_n(word, __ATOMIC_RELAXED);
        while (value < seen &&
               !__atomic_compare_exchange_n(word, &seen, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    }

  private:
    enum Place { at_sum = -4, at_largest = -5, at_exchange = -6 };  // other than any line

    template <class T>
    void put(T x) {
        static_assert(sizeof(T) <= sizeof(double), "a slot holds one plain number");
        std::memcpy(&team_.slots[thread_], &x, sizeof x);
    }
    template <class T>
    T get(int thread) const {
        T x;
        std::memcpy(&x, &team_.slots[thread], sizeof x);
        return x;
    }
    /// In the order of the device's butterfly.
    template <class T>
    T sum_of_warp(int warp) const {
        T sums[warp_size];
        for (int lane = 0; lane < warp_size; ++lane) sums[lane] = get<T>(warp * warp_size + lane);
        for (int step = 1; step < warp_size; step *= 2)
            for (int lane = 0; lane < warp_size; lane += 2 * step) sums[lane] += sums[lane + step];
        return sums[0];
    }

    template <class T>
    T largest_from(int first, int count) const {
        T result = get<T>(first);
        for (int other = first + 1; other < first + count; ++other)
            if (get<T>(other) > result) result = get<T>(other);
        return result;
    }

    Team& team_;
    index_t index_;
    int thread_;
};

template <class Kernel>
void launch(const Kernel& kernel, index_t blocks, int threads, std::size_t shared_bytes, Stream) {
    if (threads < warp_size || threads > MaxThreads<Kernel>::value || threads % warp_size != 0)
        throw std::invalid_argument("a block of " + std::to_string(threads) + " threads");
    if (blocks <= 0) return;
    constexpr int at_start = -2, at_end = -3;
    Team team(threads, shared_bytes);
    const auto work = [&](int thread) {
        for (index_t index = 0; index < blocks; ++index) {
            if (thread == 0) std::memset(team.shared.get(), 0xff, shared_bytes);
            team.whole.wait(at_start);
            EmulatedBlock block(team, index, thread);
            kernel(block);
            team.whole.wait(at_end);
        }
    };
    std::vector<std::thread> crew;
    for (int thread = 1; thread < threads; ++thread) crew.emplace_back(work, thread);
    work(0);
    for (std::thread& member : crew) member.join();
}

}  // namespace fastrenyi::cuda
