// A block of threads on the host, for tests where there is no device. Included by launch.hpp alone.
//
// Nothing but barriers orders the threads: ThreadSanitizer finds one that is missing. Shared memory lies in an
// allocation of exactly the bytes asked for, where AddressSanitizer finds what is outside of it, and holds NaN before
// each block.
#pragma once
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/emulated_fibers.hpp"
#include "cuda/launch.hpp"

namespace fastrenyi::cuda {

/// What the threads of a block share.
struct Team {
    Team(int count, std::size_t shared_bytes)
        : threads(count),
          shared(static_cast<unsigned char*>(::operator new(shared_bytes, std::align_val_t(16)))),
          slots(static_cast<std::size_t>(count)),
          crew(Crew::of(count)),
          whole(count),
          warps(static_cast<std::size_t>(count / warp_size), Barrier(warp_size)) {}

    int threads;
    struct Free {
        void operator()(unsigned char* memory) const { ::operator delete(memory, std::align_val_t(16)); }
    };
    std::unique_ptr<unsigned char, Free> shared;
    std::vector<double> slots;  // a value of each thread on its way to the others
    Crew& crew;
    Barrier whole;
    std::vector<Barrier> warps;
};

class EmulatedBlock {
  public:
    EmulatedBlock(Team& team, index_t index, int thread) : team_(team), index_(index), thread_(thread) {}

    index_t index() const { return index_; }
    int thread() const { return thread_; }
    int threads() const { return team_.threads; }
    int lane() const { return thread_ % warp_size; }
    int warp() const { return thread_ / warp_size; }
    void sync(int line = __builtin_LINE()) { meet(line); }
    void sync_warp(int line = __builtin_LINE()) { meet_warp(line); }

    template <class T>
    T* shared() {
        return reinterpret_cast<T*>(team_.shared.get());
    }

    template <class T>
    T warp_sum(T x) {
        put(x);
        meet_warp(at_sum);
        const T result = sum_of_warp<T>(thread_ / warp_size);
        meet_warp(at_sum);
        return result;
    }

    template <class T>
    T warp_largest(T x) {
        put(x);
        meet_warp(at_largest);
        const T result = largest_from<T>(thread_ / warp_size * warp_size, warp_size);
        meet_warp(at_largest);
        return result;
    }

    template <class T>
    T shuffle_xor(T x, int mask) {
        put(x);
        meet_warp(at_exchange);
        const T result = get<T>(thread_ / warp_size * warp_size + (thread_ % warp_size ^ mask));
        meet_warp(at_exchange);
        return result;
    }
    template <class T>
    T sum(T x) {
        put(x);
        meet(at_sum);
        T result = sum_of_warp<T>(0);
        for (int warp = 1; warp < threads() / warp_size; ++warp) result += sum_of_warp<T>(warp);
        meet(at_sum);
        return result;
    }

    template <class T>
    T largest(T x) {
        put(x);
        meet(at_largest);
        const T result = largest_from<T>(0, threads());
        meet(at_largest);
        return result;
    }

    bool any(bool x) { return largest(x ? 1 : 0) != 0; }

    void atomic_min(Status* word, Status value) {
        Status seen = __atomic_load_n(word, __ATOMIC_RELAXED);
        while (value < seen &&
               !__atomic_compare_exchange_n(word, &seen, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    }

  private:
    enum Place { at_sum = -4, at_largest = -5, at_exchange = -6 };  // other than any line

    void meet(int place) { team_.crew.wait(team_.whole, thread_, place); }
    void meet_warp(int place) { team_.crew.wait(team_.warps[thread_ / warp_size], thread_, place); }

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

inline std::size_t most_shared_bytes() {
    return 162 * 1024;  // as on an A100
}

template <class Kernel>
void launch(const Kernel& kernel, index_t blocks, int threads, std::size_t shared_bytes, Stream) {
    if (shared_bytes > most_shared_bytes())
        throw std::invalid_argument(std::to_string(shared_bytes) + " bytes of shared memory");
    if (threads < warp_size || threads > MaxThreads<Kernel>::value || threads % warp_size != 0)
        throw std::invalid_argument("a block of " + std::to_string(threads) + " threads");
    if (blocks <= 0) return;
    constexpr int at_start = -2, at_end = -3;
    Team team(threads, shared_bytes);
    const auto work = [&](int thread) {
        for (index_t index = 0; index < blocks; ++index) {
            if (thread == 0) std::memset(team.shared.get(), 0xff, shared_bytes);
            team.crew.wait(team.whole, thread, at_start);
            EmulatedBlock block(team, index, thread);
            kernel(block);
            team.crew.wait(team.whole, thread, at_end);
        }
    };
    team.crew.run(work);
}

}  // namespace fastrenyi::cuda
