#include "cpu/lane_spectra.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cpu/syevd.hpp"

namespace fastrenyi::cpu {
namespace {

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

std::unique_ptr<void, Free> aligned(index_t bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, static_cast<std::size_t>(bytes)) != 0) throw std::bad_alloc();
    return std::unique_ptr<void, Free>(memory);
}

/// One matrix by LAPACK.
template <class T>
void by_lapack(Solver<T>& solver, const Lane<T>& item, index_t n, const Symmetric<T>* common, T scale, T* values) {
    T* matrix = solver.scratch();
    for (index_t i = 0; i < n; ++i) {
        T* row = matrix + i * n;
        const auto multiply = [&](const Symmetric<T>& a) {
            for (index_t j = 0; j < n; ++j) row[j] *= a.data[i * a.stride + j];
        };
        std::fill_n(row, n, scale);
        multiply(item.first);
        if (item.second.data) multiply(item.second);
        if (common) multiply(*common);
    }
    solver.solve(matrix, values);
}

/// Whether LAPACK, one matrix after the other, is faster than groups of lanes; measured, see benchmarks/README.md. A
/// group costs the same however few of its lanes are in use, and large ones leave the cache. The choice must not
/// depend on the number of threads, so that the answer does not either.
bool lapack_is_faster(index_t count, index_t n, index_t lanes) {
    if (n < 2 || n > 768) return true;
    if (n <= 64) return false;
    return count < (n <= 128 ? 2 : lanes / 2);
}

}  // namespace

template <class T>
void lane_spectra(const Lane<T>* items, index_t count, index_t n, const Symmetric<T>* common, T scale, T* values,
                  index_t ld, int threads) {
    const Engine<T>& lanes = engine<T>();
    if (lapack_is_faster(count, n, lanes.lanes))
        return for_each_solver<T>('N', count, n, threads, [&](index_t k, Solver<T>& solver) {
            by_lapack(solver, items[k], n, common, scale, values + k * ld);
        });
    threads = thread_count(threads, 0.2 * count * n * n * n);  // at several operations to a cycle
    // Several groups to a call hide the latency of divisions, but every thread should have work.
    const index_t groups = (count + lanes.lanes - 1) / lanes.lanes;
    const index_t chunk = lanes.lanes * std::clamp<index_t>(groups / threads, 1, most_groups);
    const index_t chunks = (count + chunk - 1) / chunk;
    std::vector<std::unique_ptr<void, Free>> workspace;
    for (index_t t = 0; t < std::min<index_t>(threads, chunks); ++t) workspace.push_back(aligned(lanes.workspace(n)));
    parallel_for(chunks, threads, [&](index_t c, int worker) {
        const index_t start = c * chunk, size = std::min(chunk, count - start);
        bool failed[64 * most_groups];
        lanes.spectra(items + start, size, n, common, scale, values + start * ld, ld, failed, workspace[worker].get());
        for (index_t k = 0; k < size; ++k)
            if (failed[k]) {  // the engine gave up: never seen, but never wrong either
                const BlasThreads hold(1);
                Solver<T> solver('N', n);
                by_lapack(solver, items[start + k], n, common, scale, values + (start + k) * ld);
            }
    });
}

template void lane_spectra(const Lane<float>*, index_t, index_t, const Symmetric<float>*, float, float*, index_t, int);
template void lane_spectra(const Lane<double>*, index_t, index_t, const Symmetric<double>*, double, double*, index_t,
                           int);

}  // namespace fastrenyi::cpu
