#include "ops/inspect.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {
namespace {

/// The smallest flat index that find(b, i) gives for any row i of any matrix b, or -1. find gives -1 for none.
template <class T, class F>
index_t first_over_rows(const View<T>& x, int threads, F find) {
    constexpr index_t block = 64;  // rows to a piece of work
    const index_t batch = x.batch, rows = x.rows;
    threads = thread_count(threads, 1.0 * batch * rows * x.cols);
    std::vector<index_t> found(static_cast<std::size_t>(threads), -1);
    parallel_for((batch * rows + block - 1) / block, threads, [&](index_t piece, int worker) {
        for (index_t row = piece * block; row < std::min(batch * rows, (piece + 1) * block); ++row) {
            const index_t index = find(row / rows, row % rows);
            if (index >= 0 && (found[worker] < 0 || index < found[worker])) found[worker] = index;
        }
    });
    index_t first = -1;
    for (const index_t index : found)
        if (index >= 0 && (first < 0 || index < first)) first = index;
    return first;
}

/// Whether the engine finds all elements finite and mirrored; if not, the search has the last word.
template <class T>
bool plainly_symmetric(const View<T>& a, double tolerance) {
    if (a.col_stride != 1) return false;
    const Extent<T> extent = engine<T>().extent({a.data, a.row_stride}, a.rows);
    return extent.finite && extent.asymmetry <= tolerance * extent.largest;
}

/// The search element by element, for the message.
template <class T>
Fault search(const View<T>& a, index_t b, double tolerance) {
    const index_t n = a.rows;
    double largest = 0.0;
    index_t infinite = n * n;
    serial_for(n, [&](index_t i) {
        for (index_t j = 0; j < n; ++j) {
            if (!std::isfinite(a.at(i, j))) infinite = std::min(infinite, i * n + j);
            largest = std::max(largest, std::abs(static_cast<double>(a.at(i, j))));
        }
    });
    if (infinite < n * n) return {Fault::Kind::not_finite, b * n * n + infinite, a.at(infinite / n, infinite % n)};
    constexpr index_t tile = 32;  // a square of the matrix and its mirror image fit the cache together
    index_t asymmetric = n * n;
    for (index_t i0 = 0; i0 < n; i0 += tile) {
        stop_if_asked();
        for (index_t j0 = 0; j0 <= i0; j0 += tile)
            for (index_t i = i0; i < std::min(i0 + tile, n); ++i)
                for (index_t j = j0; j < std::min(j0 + tile, i); ++j)
                    if (!(std::abs(static_cast<double>(a.at(i, j)) - a.at(j, i)) <= tolerance * largest))
                        asymmetric = std::min(asymmetric, i * n + j);
    }
    if (asymmetric == n * n) return {};
    return {Fault::Kind::asymmetric, b * n * n + asymmetric, a.at(asymmetric / n, asymmetric % n)};
}

template <class T>
Fault fault_of(const View<T>& a, index_t b, double tolerance, bool trace_one) {
    if (!plainly_symmetric(a, tolerance)) {
        const Fault fault = search(a, b, tolerance);
        if (fault.kind != Fault::Kind::none) return fault;
    }
    double trace = 0.0;
    for (index_t i = 0; i < a.rows; ++i) trace += a.at(i, i);
    if (trace_one && !(std::abs(trace - 1.0) <= tolerance)) return {Fault::Kind::trace, b, trace};
    return {};
}

}  // namespace

template <class T>
index_t first_not_finite(const View<T>& x, int threads) {
    return first_over_rows(x, threads, [&](index_t b, index_t i) -> index_t {
        const View<T> samples = x.matrix(b);
        if (x.col_stride == 1 && engine<T>().all_finite(samples.row(i), x.cols)) return -1;
        for (index_t k = 0; k < x.cols; ++k)
            if (!std::isfinite(samples.at(i, k))) return (b * x.rows + i) * x.cols + k;
        return -1;
    });
}

template <class T>
index_t first_zero_row(const View<T>& x, int threads) {
    return first_over_rows(x, threads, [&](index_t b, index_t i) -> index_t {
        const View<T> samples = x.matrix(b);
        for (index_t k = 0; k < x.cols; ++k)
            if (samples.at(i, k) != T(0)) return -1;
        return b * x.rows + i;
    });
}

template <class T>
Fault gram_fault(const View<T>& a, double tolerance, bool trace_one, int threads) {
    threads = thread_count(threads, 2.0 * a.batch * a.rows * a.rows);
    std::vector<Fault> faults(static_cast<std::size_t>(threads));
    std::vector<index_t> where(static_cast<std::size_t>(threads), a.batch);
    parallel_for(a.batch, threads, [&](index_t b, int worker) {
        const Fault fault = fault_of(a.matrix(b), b, tolerance, trace_one);
        if (fault.kind == Fault::Kind::none || b >= where[worker]) return;
        faults[worker] = fault;
        where[worker] = b;
    });
    return faults[std::min_element(where.begin(), where.end()) - where.begin()];
}

template index_t first_not_finite(const View<float>&, int);
template index_t first_not_finite(const View<double>&, int);
template index_t first_zero_row(const View<float>&, int);
template index_t first_zero_row(const View<double>&, int);
template Fault gram_fault(const View<float>&, double, bool, int);
template Fault gram_fault(const View<double>&, double, bool, int);

}  // namespace fastrenyi::cpu
