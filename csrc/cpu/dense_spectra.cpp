#include "cpu/dense_spectra.hpp"

#include <algorithm>
#include <atomic>
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
void with_zeros(const T* block, index_t size, index_t order, index_t n, T* values) {
    const T *const end = block + size, *first = std::lower_bound(block, end, T(0)), *last = first;
    for (index_t k = order; k < size; ++k)
        if (last == end || (first != block && -first[-1] < *last))
            --first;
        else
            ++last;
    std::copy(last, end, std::fill_n(std::copy(block, first, values), n - order, T(0)));
}

template <class T>
void dense_spectra(const Lane<T>* items, const index_t* orders, index_t count, index_t n, const Symmetric<T>* common,
                   T scale, T* values, index_t ld, T* reduced, int threads) {
    const Engine<T>& by = engine<T>();
    const index_t room = by.padded(n), group = by.lanes;
    const auto order = [&](index_t k) { return orders ? orders[k] : n; };
    threads = static_cast<int>(std::min<index_t>(thread_count(threads, 0.2 * count * n * n * n), count));
    std::vector<Aligned> matrices, work;
    for (int t = 0; t < threads; ++t) {
        matrices.emplace_back(n * room * index_t(sizeof(T)));
        work.emplace_back(std::max<index_t>(5 * room * index_t(sizeof(T)), by.workspace(n)));
    }
    std::vector<T> diagonals(static_cast<std::size_t>(count * n)), off(diagonals.size());  // zeros behind an order
    const auto solve_group = [&](index_t start, int worker) {
        const index_t size = std::min(group, count - start), largest = order(start);
        std::vector<T> found(static_cast<std::size_t>(size * largest));
        bool failed[most_lanes] = {};
        if (largest > 1)
            by.tridiagonal_spectra(diagonals.data() + start * n, off.data() + start * n, n, size, largest, found.data(),
                                   largest, failed, work[static_cast<std::size_t>(worker)].data());
        else
            for (index_t k = 0; k < size; ++k) found[k] = diagonals[static_cast<std::size_t>((start + k) * n)];
        for (index_t k = start; k < start + size; ++k) {
            T* const own = found.data() + (k - start) * largest;
            if (failed[k - start]) {  // never seen, but never wrong either
                const BlasThreads hold(1);
                Eigenvalues<T> solver(largest);
                fill(items[k], largest, common, scale, solver.matrix(), solver.ld());
                solver.solve(own);
            }
            with_zeros(own, largest, order(k), n, values + k * ld);
            if (reduced) std::copy_n(own, n, reduced + (k * (n + 3) + n + 2) * n);
        }
    };
    std::vector<std::atomic<index_t>> left((count + group - 1) / group);  // of each group, to be reduced
    for (index_t g = 0; g < static_cast<index_t>(left.size()); ++g) left[g] = std::min(group, count - g * group);
    parallel_for(count, threads, [&](index_t k, int worker) {
        T* const matrix = matrices[static_cast<std::size_t>(worker)].template as<T>();
        T *const d = diagonals.data() + k * n, *const e = off.data() + k * n;
        const index_t own = order(k), stride = by.padded(own);
        fill(items[k], own, common, scale, matrix, stride);
        reduce_one(matrix, own, stride, d, e, work[static_cast<std::size_t>(worker)].template as<T>());
        if (reduced) {
            T* const rows = reduced + k * (n + 3) * n;
            for (index_t i = 0; i < n; ++i) std::copy_n(matrix + i * room, n, rows + i * n);
            std::copy_n(d, n, rows + n * n);
            std::copy_n(e, n, rows + (n + 1) * n);
        }
        if (--left[k / group] == 0) solve_group(k / group * group, worker);
    });
}

template void fill(const Lane<float>&, index_t, const Symmetric<float>*, float, float*, index_t);
template void fill(const Lane<double>&, index_t, const Symmetric<double>*, double, double*, index_t);
template void with_zeros(const float*, index_t, index_t, index_t, float*);
template void with_zeros(const double*, index_t, index_t, index_t, double*);
template void dense_spectra(const Lane<float>*, const index_t*, index_t, index_t, const Symmetric<float>*, float,
                            float*, index_t, float*, int);
template void dense_spectra(const Lane<double>*, const index_t*, index_t, index_t, const Symmetric<double>*, double,
                            double*, index_t, double*, int);

}  // namespace fastrenyi::cpu
