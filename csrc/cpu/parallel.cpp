#include "common/parallel.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <ctime>
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

double seconds(clockid_t clock) {
    timespec time;
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}
double now() {
    return seconds(CLOCK_MONOTONIC);
}

/// How much longer than the busiest thread's work loops have taken of late: milliseconds, where other processes
/// have the cores, or two threads of ours share one. A machine that is busy stays so for a while; one delay alone
/// says nothing.
class Delays {
  public:
    void remember(double delay) {
        constexpr double worth_noting = 1e-3, most = 20e-3, soon = 0.1, while_it_lasts = 0.5;
        if (delay < worth_noting || told_ >= 0.0) return;
        const double time = now();
        if (time - last_.exchange(time, std::memory_order_relaxed) > soon) return;
        delay_.store(std::min(delay, most), std::memory_order_relaxed);  // more is no wait for a core
        until_.store(time + while_it_lasts, std::memory_order_relaxed);
    }
    double expected() const {
        if (told_ >= 0.0) return told_;
        return now() < until_.load(std::memory_order_relaxed) ? delay_.load(std::memory_order_relaxed) : 0.0;
    }

    void tell(double delay) { told_ = delay; }

  private:
    std::atomic<double> told_{-1.0}, last_{0.0}, delay_{0.0}, until_{0.0};
} delays;

void keep_largest(std::atomic<double>& largest, double x) {
    double found = largest.load(std::memory_order_relaxed);
    while (found < x && !largest.compare_exchange_weak(found, x, std::memory_order_relaxed)) {
    }
}

}  // namespace

int thread_count(int wanted) {
    (void)fork_handler;
    if (in_forked_child || omp_in_parallel()) return 1;
    const int limit = omp_get_max_threads();
    return wanted <= 0 ? limit : std::min(wanted, limit);
}

int thread_count(int wanted, double operations) {
    constexpr double worth_waking = 100e-6;  // a thread asleep takes tens of microseconds to come
    constexpr double per_second = 1e10;      // of one thread
    return operations / per_second < std::max(worth_waking, delays.expected()) ? 1 : thread_count(wanted);
}

void expect_delay(double seconds) {
    delays.tell(seconds);
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
    const double begun = now();
    std::atomic<double> longest{0.0};  // that a thread has worked
    const auto working = [&](const auto& loop) {
        const double before = seconds(CLOCK_THREAD_CPUTIME_ID);
        loop();
        keep_largest(longest, seconds(CLOCK_THREAD_CPUTIME_ID) - before);
    };
#ifdef FASTRENYI_STD_THREADS
    // For ThreadSanitizer, which cannot see the barriers of an OpenMP runtime that was not compiled with it: every
    // result read after a loop would be reported. Pieces are taken in relaxed order, so that taking one orders nothing
    // and hides no race between pieces.
    std::atomic<index_t> next{0};
    const auto work = [&](int worker) {
        working([&] {
            for (index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) attempt(i, worker);
        });
    };
    std::vector<std::thread> team;
    for (int worker = 1; worker < workers; ++worker) team.emplace_back(work, worker);
    work(0);
    for (std::thread& thread : team) thread.join();
#else
#pragma omp parallel num_threads(workers)
    working([&] {
#pragma omp for schedule(dynamic, 1) nowait
        for (index_t i = 0; i < count; ++i) attempt(i, omp_get_thread_num());
    });
#endif
    delays.remember(now() - begun - longest);
    if (failure) std::rethrow_exception(failure);
}

}  // namespace fastrenyi
