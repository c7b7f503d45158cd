#include "ops/gram_slope.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
#include "cpu/blocks.hpp"
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {
namespace {

constexpr index_t step = 16;  // rows between two looks

/// Samples row by row, halved so that no difference of two overflows, padded with zeros to `ld`.
template <class T>
void pack(const View<T>& samples, index_t first, index_t last, index_t ld, T* out) {
    for (index_t i = first; i < last; ++i) {
        T* const row = out + i * ld;
        for (index_t k = 0; k < samples.cols; ++k) row[k] = samples.at(i, k) / 2;
        std::fill(row + samples.cols, row + ld, T(0));
    }
}

}  // namespace

template <class T>
void gram_slope(const View<T>& x, Kernel kind, const double* width, const T* a, const T* grad, T* out, int threads) {
    const index_t batch = x.batch, n = x.rows, d = x.cols;
    threads = thread_count(threads, 2.0 * batch * n * n * (d + 4));
    const index_t ld = engine<T>().padded(d);
    const Aligned all(batch * n * ld * index_t(sizeof(T)));
    T* const halves = all.as<T>();
    for_each_block(batch, n, threads, [&](index_t b, index_t first, index_t last, int) {
        pack(x.matrix(b), first, last, ld, halves + b * n * ld);
    });
    std::vector<Aligned> rooms;
    for (int t = 0; t < threads; ++t) rooms.emplace_back(block_rows * (n + ld) * index_t(sizeof(T)));
    for_each_block(batch, n, threads, [&](index_t b, index_t first, index_t last, int worker) {
        const index_t height = last - first;
        T* const result = out + (b * n + first) * d;
        if (width[b] == 0.0) {
            std::fill_n(result, height * d, T(0));
            return;
        }
        T* const sums = rooms[static_cast<std::size_t>(worker)].template as<T>();
        T* const weights = sums + block_rows * ld;
        engine<T>().weigh_rows(grad + b * n * n, a + b * n * n, n, first, height, weights);
        const auto pull = kind == Kernel::gaussian ? engine<T>().pull_rows : engine<T>().pull_rows_by_sign;
        for (index_t i = 0; i < height; i += step) {
            stop_if_asked();
            pull(halves + b * n * ld, ld, weights + i * n, n, first + i, std::min(step, height - i), sums + i * ld);
        }
        // A width whose inverse overflows must still make 0 of a difference of 0.
        const T inverse = static_cast<T>(std::min(1.0 / width[b], double(std::numeric_limits<T>::max())));
        for (index_t i = 0; i < height; ++i)
            for (index_t k = 0; k < d; ++k) {
                const T sum = sums[i * ld + k] * inverse;
                result[i * d + k] = kind == Kernel::gaussian ? sum * inverse * 2 : sum;
            }
    });
}

template void gram_slope(const View<float>&, Kernel, const double*, const float*, const float*, float*, int);
template void gram_slope(const View<double>&, Kernel, const double*, const double*, const double*, double*, int);

}  // namespace fastrenyi::cpu
