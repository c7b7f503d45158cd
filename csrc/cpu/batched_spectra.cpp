#include "cpu/batched_spectra.hpp"

#include <algorithm>
#include <utility>
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

/// Up to this order a lane is a matrix, however many there are.
constexpr index_t lanes_order = 64;

/// Above this order a matrix is taken to a band first.
constexpr index_t dense_order = 768;

/// Padded matrices are solved together, as if of one order, if theirs are within this share of it.
constexpr index_t similar_orders = 8;

enum class Way {
    lanes,  ///< a lane is a matrix
    dense,  ///< a lane is a column, one matrix after the other
    band,   ///< the same, but to a band first
};

/// The fastest; measured, see benchmarks/README.md. A group of lanes costs the same however few are in use, and large
/// ones leave the cache. The choice must not depend on the number of threads, so that the answer does not either.
Way way(index_t count, index_t n, index_t lanes) {
    if (n < 2 || n > dense_order) return Way::band;
    if (n <= lanes_order) return Way::lanes;
    return count < (n <= 128 ? lanes / 2 : 2 * lanes) ? Way::dense : Way::lanes;
}

template <class T>
void spectra_of_one_order(const Lane<T>* items, index_t count, index_t n, const Symmetric<T>* common, T scale,
                          T* values, index_t ld, int threads) {
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
            return dense_spectra<T>(items, nullptr, count, n, common, scale, values, ld, nullptr, threads);
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

/// The entries of scale * first o second o common.
template <class T>
class Entries {
  public:
    Entries(const Lane<T>& item, const Symmetric<T>* common, T scale) : item_(item), common_(common), scale_(scale) {}

    /// The order of the leading block outside of which there are only zeros, as padding leaves them; at least one. The
    /// diagonal alone would tell for a Gram, but a matrix that is indefinite must be found to be.
    index_t leading_block(index_t n) const {
        while (n > 1 && at(n - 1, n - 1) == T(0) && zero_before_diagonal(n - 1)) --n;
        return n;
    }

    bool diagonal(index_t n) const {
        for (index_t i = n - 1; i > 0; --i)
            if (!zero_before_diagonal(i)) return false;
        return true;
    }

    T at(index_t i, index_t j) const {
        const auto of = [&](const Symmetric<T>& factor) { return factor.data[i * factor.stride + j]; };
        T entry = scale_ * of(item_.first);
        if (item_.second.data) entry *= of(item_.second);
        if (common_) entry *= of(*common_);
        return entry;
    }

  private:
    bool zero_before_diagonal(index_t i) const {
        if (!item_.second.data && !common_) {
            const T* const row = item_.first.data + i * item_.first.stride;
            return engine<T>().largest(row, i) == T(0) && engine<T>().all_finite(row, i);
        }
        for (index_t j = i - 1; j >= 0; --j)
            if (at(i, j) != T(0)) return false;
        return true;
    }

    const Lane<T>& item_;
    const Symmetric<T>* common_;
    T scale_;
};

}  // namespace

template <class T>
void batched_spectra(const Lane<T>* items, index_t count, index_t n, const Symmetric<T>* common, T scale, T* values,
                     index_t ld, int threads) {
    std::vector<index_t> places, orders(static_cast<std::size_t>(count));  // zero: diagonal, and solved already
    parallel_for(count, thread_count(threads, 1.0 * count * n * n), [&](index_t k, int) {
        const Entries<T> entries(items[k], common, scale);
        orders[size_t(k)] = entries.leading_block(n);
        if (!entries.diagonal(orders[size_t(k)])) return;
        orders[size_t(k)] = 0;
        T* of_it = values + k * ld;
        for (index_t i = 0; i < n; ++i) of_it[i] = entries.at(i, i);
        std::sort(of_it, of_it + n);
    });
    places.reserve(size_t(count));
    for (index_t k = 0; k < count; ++k)
        if (orders[size_t(k)] > 0) places.push_back(k);
    const bool whole = std::all_of(orders.begin(), orders.end(), [&](index_t order) { return order == n; });
    if (whole) return spectra_of_one_order(items, count, n, common, scale, values, ld, threads);

    std::stable_sort(places.begin(), places.end(),
                     [&](index_t k, index_t l) { return orders[size_t(k)] > orders[size_t(l)]; });
    const auto number = static_cast<index_t>(places.size());
    const auto order_at = [&](index_t place) { return orders[size_t(places[size_t(place)])]; };
    const auto items_of = [&](index_t first, index_t last) {
        std::vector<Lane<T>> those;
        for (index_t place = first; place < last; ++place) those.push_back(items[places[size_t(place)]]);
        return those;
    };
    const auto put = [&](index_t place, const T* found, index_t size, index_t order) {
        with_zeros(found, size, order, n, values + places[size_t(place)] * ld);
    };
    double operations = 0.0;
    for (index_t place = 0; place < number; ++place) {
        const auto order = static_cast<double>(order_at(place));
        operations += 0.2 * order * order * order;
    }
    threads = thread_count(threads, operations);
    // Small groups, the dearest first, so that every thread has work to the end.
    std::vector<std::pair<index_t, index_t>> groups;
    for (index_t first = 0, last = 0; first < number; first = last) {
        const index_t order = order_at(first);
        last = first + 1;
        if (order > dense_order) {
            groups.emplace_back(first, last);
        } else if (order > lanes_order) {
            std::vector<index_t> sizes{order};
            for (; last < number && order_at(last) > lanes_order; ++last) sizes.push_back(order_at(last));
            std::vector<T> found(size_t((last - first) * order));
            dense_spectra<T>(items_of(first, last).data(), sizes.data(), last - first, order, common, scale,
                             found.data(), order, nullptr, threads);
            for (index_t place = first; place < last; ++place)
                put(place, found.data() + (place - first) * order, order, order);
        } else {
            for (; last < number && last - first < engine<T>().lanes; ++last)
                if (order_at(last) < order - order / similar_orders) break;
            groups.emplace_back(first, last);
        }
    }
    const auto count_of_groups = static_cast<index_t>(groups.size());
    const int within = count_of_groups < threads ? threads : 1;
    parallel_for(count_of_groups, within == 1 ? threads : 1, [&](index_t g, int) {
        const auto [first, last] = groups[size_t(g)];
        const index_t order = order_at(first);
        std::vector<T> found(size_t((last - first) * order));
        spectra_of_one_order(items_of(first, last).data(), last - first, order, common, scale, found.data(), order,
                             within);
        for (index_t place = first; place < last; ++place)
            put(place, found.data() + (place - first) * order, order, order_at(place));
    });
}

template void batched_spectra(const Lane<float>*, index_t, index_t, const Symmetric<float>*, float, float*, index_t,
                              int);
template void batched_spectra(const Lane<double>*, index_t, index_t, const Symmetric<double>*, double, double*, index_t,
                              int);

}  // namespace fastrenyi::cpu
