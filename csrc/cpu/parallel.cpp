#include "common/parallel.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>

namespace fastrenyi {
namespace {

// OpenMP's threads do not survive a fork, and its runtime would wait for them for ever.
std::atomic<bool> in_forked_child{false};
const int fork_handler = pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });

}  // namespace

int thread_count(int wanted) {
    (void)fork_handler;
    if (in_forked_child || omp_in_parallel()) return 1;
    const int limit = omp_get_max_threads();
    return wanted <= 0 ? limit : std::min(wanted, limit);
}

int thread_count(int wanted, double operations) {
    constexpr double worth_waking = 1e6;  // about 100 us of one thread; a thread asleep takes tens of them to come
    return operations < worth_waking ? 1 : thread_count(wanted);
}

void parallel_for(index_t count, int threads, const std::function<void(index_t, int)>& body) {
    const int workers = static_cast<int>(std::min<index_t>(threads, count));
    if (workers <= 1) {
        for (index_t i = 0; i < count; ++i) body(i, 0);
        return;
    }
    std::exception_ptr failure;
    std::atomic<bool> failed{false};
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers)
    for (index_t i = 0; i < count; ++i) {
        if (failed.load(std::memory_order_relaxed)) continue;
        try {
            body(i, omp_get_thread_num());
        } catch (...) {
            if (!failed.exchange(true)) failure = std::current_exception();
        }
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace fastrenyi
