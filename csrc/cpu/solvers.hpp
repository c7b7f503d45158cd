// LAPACK for the matrices of a batch, which are shared out to threads.
#pragma once
#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"

namespace fastrenyi::cpu {

/// Eigenvectors of a single matrix of this order or above, which cannot be shared out, are by BLAS's own threads. Their
/// last bits then depend on how many they are, as those of no other call do.
constexpr index_t threaded_order = 512;

/// Runs body(b, solver) for each matrix of a batch, with a solver of the thread's own.
template <class Solver, class F>
void for_each_solver(index_t batch, index_t n, int threads, F body) {
    if (batch == 0) return;
    threads = batch == 1 ? thread_count(threads) : thread_count(threads, 10.0 * batch * n * n * n);
    const BlasThreads hold(batch == 1 && n >= threaded_order ? threads : 1);
    const int workers = static_cast<int>(std::min<index_t>(threads, batch));
    std::vector<Solver> solvers(static_cast<std::size_t>(workers), Solver(n));
    parallel_for(batch, workers, [&](index_t b, int worker) { body(b, solvers[worker]); });
}

}  // namespace fastrenyi::cpu
