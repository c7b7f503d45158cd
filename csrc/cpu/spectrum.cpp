#include "ops/spectrum.hpp"

#include <utility>
#include <vector>

#include "cpu/batched_spectra.hpp"
#include "cpu/eigenvectors.hpp"
#include "cpu/small_eigenvectors.hpp"
#include "cpu/solvers.hpp"

namespace fastrenyi::cpu {
namespace {

template <class T>
void copy_dense(const View<T>& matrix, T* out) {
    for (index_t i = 0; i < matrix.rows; ++i)
        for (index_t j = 0; j < matrix.cols; ++j) *out++ = matrix.at(i, j);
}

}  // namespace

template <class T>
void spectrum(const View<T>& a, T* values, int threads) {
    const Readable<T> readable(a);
    std::vector<Lane<T>> items;
    items.reserve(static_cast<std::size_t>(a.batch));
    for (index_t b = 0; b < a.batch; ++b) items.push_back({readable[b], {nullptr, 0}});
    batched_spectra<T>(items.data(), a.batch, a.rows, nullptr, T(1), values, a.rows, threads);
}

template <class T>
void eigh(const View<T>& a, T* values, T* vectors, int threads) {
    const index_t n = a.rows;
    if (n <= small_order) return small_eigenvectors(a, values, vectors, threads);
    for_each_solver<Eigenvectors<T>>(a.batch, n, threads, [&](index_t b, Eigenvectors<T>& solver) {
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
