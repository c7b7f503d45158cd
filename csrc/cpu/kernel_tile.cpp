#include "ops/kernel_tile.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/dispatch.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {
namespace {

constexpr index_t block_rows = 64;  // whose exponents stay in cache between the product and the exponentials

std::vector<double> half_squares(const double* rows, index_t n, index_t d) {
    std::vector<double> found(static_cast<std::size_t>(n));
    for (index_t i = 0; i < n; ++i)
        found[i] = 0.5 * std::inner_product(rows + i * d, rows + (i + 1) * d, rows + i * d, 0.0);
    return found;
}

}  // namespace

template <class T>
double gaussian_tile(const double* x, index_t m, const double* y, index_t k, index_t d, double shift, T* out,
                     int threads) {
    const std::vector<double> of_x = half_squares(x, m, d), of_y = half_squares(y, k, d);
    const index_t blocks = (m + block_rows - 1) / block_rows;
    threads = thread_count(threads, 1.0 * m * k * (d + 20.0));
    const auto space = static_cast<std::size_t>(block_rows * k);
    std::vector<double> products(space * static_cast<std::size_t>(threads)), squares(static_cast<std::size_t>(blocks));
    const BlasThreads hold(1);
    parallel_for(blocks, threads, [&](index_t block, int worker) {
        const index_t first = block * block_rows, height = std::min(block_rows, m - first);
        double* const sums = &products[space * static_cast<std::size_t>(worker)];
        const int width = static_cast<int>(k), rows = static_cast<int>(height), inner = static_cast<int>(d);
        // Rows are Fortran's columns.
        lapack<double>().gemm(pass('T'), pass('N'), pass(+width), pass(+rows), pass(+inner), pass(1.0),
                              const_cast<double*>(y), pass(+inner), const_cast<double*>(x) + first * d, pass(+inner),
                              pass(0.0), sums, pass(+width));
        for (index_t i = 0; i < height; ++i) {
            double* const row = sums + i * k;
            const double own = of_x[first + i];
            for (index_t j = 0; j < k; ++j) row[j] = std::max(own + of_y[j] - row[j], 0.0);
            engine<double>().exponentials(row, k, -1.0, 1.0);
            squares[block] += engine<double>().squares(row, k);
            std::transform(row, row + k, out + (first + i) * k,
                           [shift](double entry) { return static_cast<T>(entry - shift); });
        }
    });
    return std::accumulate(squares.begin(), squares.end(), 0.0);
}

template double gaussian_tile(const double*, index_t, const double*, index_t, index_t, double, float*, int);
template double gaussian_tile(const double*, index_t, const double*, index_t, index_t, double, double*, int);

}  // namespace fastrenyi::cpu
