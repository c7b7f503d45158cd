// Loops over independent pieces of work. Defined by the device's floor (cpu/parallel.cpp).
#pragma once
#include <functional>

#include "common/interruption.hpp"
#include "common/view.hpp"

namespace fastrenyi {

/// Threads a call may use: `wanted`, or what OpenMP is set to when that is 0 or less; never more than OpenMP is
/// set to; one inside another parallel region and in a forked child, where OpenMP's threads no longer exist.
int thread_count(int wanted);

/// As above, but one for work of so few operations (additions and multiplications, roughly) that waking a second thread
/// would cost more than it brings: microseconds, or where other processes have the cores what loops have lost of late.
/// Results never depend on it.
int thread_count(int wanted, double operations);

/// For tests: so many seconds are taken for lost, whatever loops lose; below zero, what they lose again.
void expect_delay(double seconds);

/// Runs body(i, worker) for i in [0, count) on up to `threads` threads; worker < threads names the thread's
/// workspace. The first exception is rethrown in the caller after all threads have stopped; the call can be
/// interrupted between two pieces (interruption.hpp).
void parallel_for(index_t count, int threads, const std::function<void(index_t, int)>& body);

/// Runs body(i) for i in [0, count) one after the other, on this thread: of pieces so small, rows of a matrix, that
/// asking before each whether the call is interrupted would take long.
template <class F>
void serial_for(index_t count, F body) {
    constexpr index_t at_once = 64;
    for (index_t i = 0; i < count; ++i) {
        if (i % at_once == at_once - 1) stop_if_asked();
        body(i);
    }
}

}  // namespace fastrenyi
