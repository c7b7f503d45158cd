#include "cpu/small_eigenvectors.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "common/error.hpp"
#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
#include "cpu/dispatch.hpp"
#include "cpu/safe_scale.hpp"

namespace fastrenyi::cpu {

template <class T>
void small_eigenvectors(const View<T>& a, T* values, T* vectors, int threads) {
    const index_t n = a.rows, square = n * n, lanes = engine<T>().lanes, groups = (a.batch + lanes - 1) / lanes;
    threads = thread_count(threads, 100.0 * a.batch * n * square);
    parallel_for(groups, threads, [&](index_t g, int) {
        const index_t first = g * lanes, count = std::min(lanes, a.batch - first);
        const Aligned memory(2 * square * lanes * index_t(sizeof(T)));
        T *const elements = memory.template as<T>(), *const rows = elements + square * lanes;
        std::fill_n(elements, square * lanes, T(0));
        std::vector<T> matrix(static_cast<std::size_t>(square)), sizes;
        for (index_t q = 0; q < count; ++q) {
            const View<T> of = a.matrix(first + q);
            for (index_t i = 0; i < n; ++i)
                for (index_t j = 0; j < n; ++j) matrix[i * n + j] = of.at(i, j);
            sizes.push_back(make_safe(matrix.data(), n, n));
            for (index_t k = 0; k < square; ++k) elements[k * lanes + q] = matrix[k];
        }
        if (!engine<T>().rotate_to_diagonal(elements, n, rows))
            throw LapackError("Jacobi's rotations did not converge");
        std::vector<index_t> order(static_cast<std::size_t>(n));
        for (index_t q = 0; q < count; ++q) {
            const auto value = [&](index_t k) { return elements[k * (n + 1) * lanes + q]; };
            std::iota(order.begin(), order.end(), index_t(0));
            std::stable_sort(order.begin(), order.end(), [&](index_t k, index_t l) { return value(k) < value(l); });
            for (index_t k = 0; k < n; ++k) {
                const index_t from = order[static_cast<std::size_t>(k)];
                values[(first + q) * n + k] = value(from) * sizes[static_cast<std::size_t>(q)];
                for (index_t i = 0; i < n; ++i)
                    vectors[(first + q) * square + i * n + k] = rows[(from * n + i) * lanes + q];
            }
        }
    });
}

template void small_eigenvectors(const View<float>&, float*, float*, int);
template void small_eigenvectors(const View<double>&, double*, double*, int);

}  // namespace fastrenyi::cpu
