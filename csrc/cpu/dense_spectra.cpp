#include "cpu/dense_spectra.hpp"

#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/eigenvalues.hpp"
#include "cpu/safe_scale.hpp"

namespace fastrenyi::cpu {
namespace {

/// Reduces the matrix in place, padded to `ld`.
template <class T>
void reduce_one(T* matrix, index_t n, index_t ld, T* d, T* e, T* work) {
    const T size = make_safe(matrix, n, ld);
    engine<T>().reduce(matrix, n, ld, d, e, work, &stop_if_asked);
    for (index_t i = 0; i < n; ++i) d[i] *= size;
    for (index_t i = 0; i < n - 1; ++i) e[i] *= size;
}

}  // namespace

template <class T>
void fill(const Lane<T>& item, index_t n, const Symmetric<T>* common, T scale, T* matrix, index_t ld) {
    serial_for(n, [&](index_t i) {
        T* row = matrix + i * ld;
        const auto multiply = [&](const Symmetric<T>& a) {
            for (index_t j = 0; j < n; ++j) row[j] *= a.data[i * a.stride + j];
        };
        std::fill_n(row, n, scale);
        std::fill(row + n, row + ld, T(0));
        multiply(item.first);
        if (item.second.data) multiply(item.second);
        if (common) multiply(*common);
    });
}

template <class T>
void dense_spectra(const Lane<T>* items, index_t count, index_t n, const Symmetric<T>* common, T scale, T* values,
                   index_t ld, T* reduced, int threads) {
    const Engine<T>& by = engine<T>();
    const index_t room = by.padded(n), group = by.lanes;
    threads = static_cast<int>(std::min<index_t>(thread_count(threads, 0.2 * count * n * n * n), count));
    std::vector<Aligned> matrices, work;
    for (int t = 0; t < threads; ++t) {
        matrices.emplace_back(n * room * index_t(sizeof(T)));
        work.emplace_back(std::max<index_t>(5 * room * index_t(sizeof(T)), by.workspace(n)));
    }
    std::vector<T> diagonals(static_cast<std::size_t>(count * n)), off(diagonals.size());
    parallel_for(count, threads, [&](index_t k, int worker) {
        T* const matrix = matrices[static_cast<std::size_t>(worker)].template as<T>();
        T *const d = diagonals.data() + k * n, *const e = off.data() + k * n;
        fill(items[k], n, common, scale, matrix, room);
        reduce_one(matrix, n, room, d, e, work[static_cast<std::size_t>(worker)].template as<T>());
        if (!reduced) return;
        T* const rows = reduced + k * (n + 3) * n;
        for (index_t i = 0; i < n; ++i) std::copy_n(matrix + i * room, n, rows + i * n);
        std::copy_n(d, n, rows + n * n);
        std::copy_n(e, n, rows + (n + 1) * n);
    });
    parallel_for((count + group - 1) / group, threads, [&](index_t g, int worker) {
        const index_t start = g * group, size = std::min(group, count - start);
        bool failed[most_lanes] = {};
        if (n > 1)
            by.tridiagonal_spectra(diagonals.data() + start * n, off.data() + start * n, n, size, n,
                                   values + start * ld, ld, failed, work[static_cast<std::size_t>(worker)].data());
        for (index_t k = start; k < start + size; ++k) {
            if (n == 1) values[k * ld] = diagonals[static_cast<std::size_t>(k)];
            if (failed[k - start]) {  // never seen, but never wrong either
                const BlasThreads hold(1);
                Eigenvalues<T> solver(n);
                fill(items[k], n, common, scale, solver.matrix(), solver.ld());
                solver.solve(values + k * ld);
            }
            if (reduced) std::copy_n(values + k * ld, n, reduced + (k * (n + 3) + n + 2) * n);
        }
    });
}

template void fill(const Lane<float>&, index_t, const Symmetric<float>*, float, float*, index_t);
template void fill(const Lane<double>&, index_t, const Symmetric<double>*, double, double*, index_t);
template void dense_spectra(const Lane<float>*, index_t, index_t, const Symmetric<float>*, float, float*, index_t,
                            float*, int);
template void dense_spectra(const Lane<double>*, index_t, index_t, const Symmetric<double>*, double, double*, index_t,
                            double*, int);

}  // namespace fastrenyi::cpu
