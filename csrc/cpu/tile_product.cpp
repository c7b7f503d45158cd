#include "ops/tile_product.hpp"

#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/dispatch.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {
namespace {

constexpr index_t block_rows = 256;  // of a result, whose part of the tile stays in cache
constexpr index_t summed = 64;       // products between two sums in double

/// Adds (part of the tile) times vectors (inner, p) to `rows` rows of a result; `next` is the step from one of the
/// tile's entries in the sum to the following one, in memory: 1, or the length of its rows where it is transposed.
template <class T>
void add_product(const T* part, index_t width, bool transposed, const T* vectors, index_t inner, index_t p,
                 index_t rows, T* space, double* result) {
    const int columns = static_cast<int>(p), height = static_cast<int>(rows), line = static_cast<int>(width);
    for (index_t first = 0; first < inner; first += summed) {
        const int length = static_cast<int>(std::min(summed, inner - first));
        const T* const from = part + (transposed ? first * width : first);
        // Rows are Fortran's columns.
        lapack<T>().gemm(pass('N'), pass(transposed ? 'T' : 'N'), pass(+columns), pass(+height), pass(+length),
                         pass(T(1)), const_cast<T*>(vectors) + first * p, pass(+columns), const_cast<T*>(from),
                         pass(+line), pass(T(0)), space, pass(+columns));
        std::transform(space, space + rows * p, result, result, [](T found, double sum) { return sum + found; });
    }
}

}  // namespace

template <class T>
void tile_product(const T* tile, index_t m, index_t k, const T* x, const T* y, index_t p, double* to_rows,
                  double* to_columns, int threads) {
    const index_t over_rows = (m + block_rows - 1) / block_rows;
    const index_t over_columns = to_columns ? (k + block_rows - 1) / block_rows : 0;
    threads = thread_count(threads, 1.0 * m * k * p);
    const auto each = static_cast<std::size_t>(block_rows * p);
    std::vector<T> space(each * static_cast<std::size_t>(threads));
    const BlasThreads hold(1);
    parallel_for(over_rows + over_columns, threads, [&](index_t block, int worker) {
        T* const own = &space[each * static_cast<std::size_t>(worker)];
        const bool transposed = block >= over_rows;
        const index_t first = (transposed ? block - over_rows : block) * block_rows;
        if (transposed)
            add_product(tile + first, k, true, x, m, p, std::min(block_rows, k - first), own, to_columns + first * p);
        else
            add_product(tile + first * k, k, false, y, k, p, std::min(block_rows, m - first), own, to_rows + first * p);
    });
}

template void tile_product(const float*, index_t, index_t, const float*, const float*, index_t, double*, double*, int);
template void tile_product(const double*, index_t, index_t, const double*, const double*, index_t, double*, double*,
                           int);

}  // namespace fastrenyi::cpu
