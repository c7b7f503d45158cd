// Loops over independent pieces of work. Defined by the device's floor (cpu/parallel.cpp).
#pragma once
#include <functional>

#include "common/view.hpp"

namespace fastrenyi {

/// Threads a call may use: `wanted`, or what OpenMP is set to when that is 0 or less; never more than OpenMP is
/// set to; one inside another parallel region and in a forked child, where OpenMP's threads no longer exist.
int thread_count(int wanted);

/// As above, but one for work of so few operations (additions and multiplications, roughly) that waking a second thread
/// would cost more than it brings. Results never depend on it.
int thread_count(int wanted, double operations);

/// Runs body(i, worker) for i in [0, count) on up to `threads` threads; worker < threads names the thread's
/// workspace. The first exception is rethrown in the caller after all threads have stopped; the call can be
/// interrupted between two pieces (interruption.hpp).
void parallel_for(index_t count, int threads, const std::function<void(index_t, int)>& body);

}  // namespace fastrenyi
