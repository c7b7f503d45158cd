#include "ops/spectrum.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/lane_spectra.hpp"
#include "cpu/syevd.hpp"

namespace fastrenyi::cpu {
namespace {

template <class T>
void copy_dense(const View<T>& matrix, T* out) {
    for (index_t i = 0; i < matrix.rows; ++i)
        for (index_t j = 0; j < matrix.cols; ++j) *out++ = matrix.at(i, j);
}

/// Runs body(b, solver) for each matrix with a solver of the thread's own.
template <class T, class F>
void for_each_matrix(char job, index_t batch, index_t n, int threads, F body) {
    if (batch == 0) return;
    threads = thread_count(threads);
    // One matrix cannot be shared out: BLAS's own threads serve it.
    const BlasThreads hold(batch == 1 ? threads : 1);
    const int workers = static_cast<int>(std::min<index_t>(threads, batch));
    std::vector<Solver<T>> solvers(static_cast<std::size_t>(workers), Solver<T>(job, n));
    parallel_for(batch, workers, [&](index_t b, int worker) { body(b, solvers[worker]); });
}

/// Whether LAPACK, one matrix after the other, is faster than full groups of lanes. It must not depend on the
/// number of threads, so that the answer does not either.
template <class T>
bool lapack_is_faster(index_t batch, index_t n) {
    return n == 1 || (n > 512 && batch < engine<T>().lanes);
}

template <class T>
void lapack_spectrum(const View<T>& a, T* values, int threads) {
    const index_t n = a.rows;
    for_each_matrix<T>('N', a.batch, n, threads, [&](index_t b, Solver<T>& solver) {
        T* matrix = solver.scratch();
        copy_dense(a.matrix(b), matrix);
        solver.solve(matrix, values + b * n);
    });
}

}  // namespace

template <class T>
void spectrum(const View<T>& a, T* values, int threads) {
    const index_t n = a.rows;
    if (lapack_is_faster<T>(a.batch, n)) return lapack_spectrum(a, values, threads);
    std::vector<Lane<T>> items;
    items.reserve(static_cast<std::size_t>(a.batch));
    for (index_t b = 0; b < a.batch; ++b)
        items.push_back({{a.matrix(b).data, a.row_stride, a.col_stride}, {nullptr, 0, 0}});
    lane_spectra<T>(items.data(), a.batch, n, nullptr, T(1), values, threads);
}

template <class T>
void eigh(const View<T>& a, T* values, T* vectors, int threads) {
    const index_t n = a.rows;
    for_each_matrix<T>('V', a.batch, n, threads, [&](index_t b, Solver<T>& solver) {
        T* matrix = vectors + b * n * n;
        copy_dense(a.matrix(b), matrix);
        solver.solve(matrix, values + b * n);
        for (index_t i = 0; i < n; ++i)  // LAPACK's columns are rows here
            for (index_t j = 0; j < i; ++j) std::swap(matrix[i * n + j], matrix[j * n + i]);
    });
}

template void spectrum(const View<float>&, float*, int);
template void spectrum(const View<double>&, double*, int);
template void eigh(const View<float>&, float*, float*, int);
template void eigh(const View<double>&, double*, double*, int);

}  // namespace fastrenyi::cpu
