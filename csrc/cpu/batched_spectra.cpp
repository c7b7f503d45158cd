#include "cpu/batched_spectra.hpp"

#include <algorithm>
#include <vector>

#include "common/interruption.hpp"
#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/dense_spectra.hpp"
#include "cpu/eigenvalues.hpp"

namespace fastrenyi::cpu {
namespace {

template <class T>
void by_band(Eigenvalues<T>& solver, const Lane<T>& item, index_t n, const Symmetric<T>* common, T scale, T* values) {
    fill(item, n, common, scale, solver.matrix(), solver.ld());
    solver.solve(values);
}

enum class Way {
    lanes,  ///< a lane is a matrix
    dense,  ///< a lane is a column, one matrix after the other
    band,   ///< the same, but to a band first
};

/// The fastest; measured, see benchmarks/README.md. A group of lanes costs the same however few are in use, and large
/// ones leave the cache. The choice must not depend on the number of threads, so that the answer does not either.
Way way(index_t count, index_t n, index_t lanes) {
    if (n < 2 || n > 768) return Way::band;
    if (n <= 64) return Way::lanes;
    return count < (n <= 128 ? lanes / 2 : 2 * lanes) ? Way::dense : Way::lanes;
}

}  // namespace

template <class T>
void batched_spectra(const Lane<T>* items, index_t count, index_t n, const Symmetric<T>* common, T scale, T* values,
                     index_t ld, int threads) {
    const Engine<T>& lanes = engine<T>();
    switch (way(count, n, lanes.lanes)) {
        case Way::band: {
            const BlasThreads hold(1);
            threads = thread_count(threads);
            const int workers = static_cast<int>(std::clamp<index_t>(count, 1, threads));
            // A single one cannot be shared out as a whole.
            std::vector<Eigenvalues<T>> solvers;
            solvers.reserve(size_t(workers));
            for (int w = 0; w < workers; ++w) solvers.emplace_back(n, count == 1 ? threads : 1);
            return parallel_for(count, workers, [&](index_t k, int worker) {
                by_band(solvers[size_t(worker)], items[k], n, common, scale, values + k * ld);
            });
        }
        case Way::dense:
            return dense_spectra(items, count, n, common, scale, values, ld, static_cast<T*>(nullptr), threads);
        case Way::lanes:
            break;
    }
    threads = thread_count(threads, 0.2 * count * n * n * n);  // at several operations to a cycle
    // Several groups to a call hide the latency of divisions, but every thread should have work.
    const index_t groups = (count + lanes.lanes - 1) / lanes.lanes;
    const index_t chunk = lanes.lanes * std::clamp<index_t>(groups / threads, 1, most_groups);
    const index_t chunks = (count + chunk - 1) / chunk;
    std::vector<Aligned> workspace;
    for (index_t t = 0; t < std::min<index_t>(threads, chunks); ++t) workspace.emplace_back(lanes.workspace(n));
    parallel_for(chunks, threads, [&](index_t c, int worker) {
        const index_t start = c * chunk, size = std::min(chunk, count - start);
        bool failed[64 * most_groups];
        lanes.spectra(items + start, size, n, common, scale, values + start * ld, ld, failed, workspace[worker].data(),
                      &stop_if_asked);
        for (index_t k = 0; k < size; ++k)
            if (failed[k]) {  // the engine gave up: never seen, but never wrong either
                const BlasThreads hold(1);
                Eigenvalues<T> solver(n);
                by_band(solver, items[start + k], n, common, scale, values + (start + k) * ld);
            }
    });
}

template void batched_spectra(const Lane<float>*, index_t, index_t, const Symmetric<float>*, float, float*, index_t,
                              int);
template void batched_spectra(const Lane<double>*, index_t, index_t, const Symmetric<double>*, double, double*, index_t,
                              int);

}  // namespace fastrenyi::cpu
