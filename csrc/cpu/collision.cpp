#include "cpu/collision.hpp"

#include <algorithm>
#include <cmath>

#include "common/parallel.hpp"
#include "cpu/blocks.hpp"
#include "cpu/product.hpp"
#include "ops/entropy.hpp"

namespace fastrenyi::cpu {

template <class T>
std::vector<Purity> collision_purities(const std::vector<View<T>>& factors, int threads) {
    const index_t batch = factors.front().batch, n = factors.front().rows;
    const auto count = static_cast<index_t>(factors.size());
    const index_t blocks = (n + block_rows - 1) / block_rows;
    std::vector<Purity> parts(static_cast<std::size_t>(batch * blocks)), found(static_cast<std::size_t>(batch));
    for_each_block(batch, n, thread_count(threads, 2.0 * batch * n * n * count),
                   [&](index_t b, index_t first, index_t last, int) {
                       const std::vector<View<T>> matrices = one_of_each(factors, b);
                       const Product<T> product(matrices.data(), count, n);
                       Purity& part = parts[static_cast<std::size_t>(b * blocks + first / block_rows)];
                       part.trace = product.trace();
                       if (part.trace == 0.0) return;
                       std::vector<double> row(static_cast<std::size_t>(n));
                       for (index_t i = first; i < last; ++i) {
                           product.row(i, 1.0, row.data());
                           part.squares += engine<T>().sum_of_squares(row.data(), n);
                       }
                   });
    for (index_t b = 0; b < batch; ++b)
        for (index_t k = 0; k < blocks; ++k) {
            const Purity& part = parts[static_cast<std::size_t>(b * blocks + k)];
            found[static_cast<std::size_t>(b)].squares += part.squares;
            found[static_cast<std::size_t>(b)].trace = part.trace;
        }
    return found;
}

template <class T>
Verdict collision_entropy(const std::vector<View<T>>& factors, double unit, T* out, int threads) {
    const std::vector<Purity> purities = collision_purities(factors, threads);
    Verdict verdict;
    for (std::size_t b = 0; b < purities.size(); ++b) {
        const Purity& purity = purities[b];
        if (purity.trace == 0.0) verdict.keep_first({Verdict::Kind::zero_trace, static_cast<index_t>(b), 0.0});
        out[b] = static_cast<T>(-unit * std::log2(purity.squares / (purity.trace * purity.trace)) + 0.0);
    }
    return verdict;
}

template std::vector<Purity> collision_purities(const std::vector<View<float>>&, int);
template std::vector<Purity> collision_purities(const std::vector<View<double>>&, int);
template Verdict collision_entropy(const std::vector<View<float>>&, double, float*, int);
template Verdict collision_entropy(const std::vector<View<double>>&, double, double*, int);

}  // namespace fastrenyi::cpu
