#include "common/parallel.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>

#include "common/interruption.hpp"
#ifdef FASTRENYI_STD_THREADS
#include <thread>
#include <vector>
#endif

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
        for (index_t i = 0; i < count; ++i) {
            stop_if_asked();
            body(i, 0);
        }
        return;
    }
    std::exception_ptr failure;
    std::atomic<bool> failed{false};
    const auto attempt = [&](index_t i, int worker) {
        if (failed.load(std::memory_order_relaxed)) return;
        try {
            const Sharing sharing(failed);
            stop_if_asked();
            body(i, worker);
        } catch (...) {
            if (!failed.exchange(true)) failure = std::current_exception();
        }
    };
#ifdef FASTRENYI_STD_THREADS
    // For ThreadSanitizer, which cannot see the barriers of an OpenMP runtime that was not compiled with it: every
    // result read after a loop would be reported. Pieces are taken in relaxed order, so that taking one orders nothing
    // and hides no race between pieces.
    std::atomic<index_t> next{0};
    const auto work = [&](int worker) {
        for (index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) attempt(i, worker);
    };
    std::vector<std::thread> team;
    for (int worker = 1; worker < workers; ++worker) team.emplace_back(work, worker);
    work(0);
    for (std::thread& thread : team) thread.join();
#else
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers)
    for (index_t i = 0; i < count; ++i) attempt(i, omp_get_thread_num());
#endif
    if (failure) std::rethrow_exception(failure);
}

}  // namespace fastrenyi
