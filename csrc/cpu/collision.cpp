#include "ops/entropy.hpp"

#include <algorithm>
#include <cmath>

#include "common/parallel.hpp"
#include "cpu/blocks.hpp"
#include "cpu/product.hpp"
#include "cpu/subsets.hpp"

namespace fastrenyi::cpu {
namespace {

/// Of each joint variable: of a batch of the first, then of the second.
template <class T>
void find_purities(const std::vector<std::vector<View<T>>>& joints, Purity* found, int threads) {
    const index_t batch = joints.front().front().batch, n = joints.front().front().rows;
    const index_t count = batch * static_cast<index_t>(joints.size());
    const index_t blocks = (n + block_rows - 1) / block_rows;
    std::vector<Purity> parts(static_cast<std::size_t>(count * blocks));
    threads = thread_count(threads, 2.0 * batch * n * n * total(joints));
    for_each_block(count, n, threads, [&](index_t m, index_t first, index_t last, int) {
        const std::vector<View<T>> matrices = one_of_each(joints[static_cast<std::size_t>(m / batch)], m % batch);
        const Product<T> product(matrices.data(), static_cast<index_t>(matrices.size()), n);
        Purity& part = parts[static_cast<std::size_t>(m * blocks + first / block_rows)];
        part.trace = product.trace();
        if (part.trace == 0.0) return;
        std::vector<double> row(static_cast<std::size_t>(n));
        for (index_t i = first; i < last; ++i) {
            product.row(i, 1.0, row.data());
            part.squares += engine<double>().squares(row.data(), n);
        }
    });
    for (index_t m = 0; m < count; ++m)
        for (index_t k = 0; k < blocks; ++k) {
            const Purity& part = parts[static_cast<std::size_t>(m * blocks + k)];
            if (k == 0) found[m] = {};
            found[m].squares += part.squares;
            found[m].trace = part.trace;
        }
}

}  // namespace

template <class T>
Verdict collision_entropy(const std::vector<View<T>>& grams, const std::vector<std::vector<index_t>>& subsets,
                          double unit, T* out, Purity* purities, int threads) {
    find_purities(chosen(grams, subsets), purities, threads);
    const index_t count = static_cast<index_t>(subsets.size()) * grams.front().batch;
    Verdict verdict;
    for (index_t m = 0; m < count; ++m) {
        const Purity& purity = purities[m];
        if (purity.trace == 0.0) verdict.keep_first({Verdict::Kind::zero_trace, m, 0.0});
        out[m] = static_cast<T>(-unit * std::log2(purity.squares / (purity.trace * purity.trace)) + 0.0);
    }
    return verdict;
}

template Verdict collision_entropy(const std::vector<View<float>>&, const std::vector<std::vector<index_t>>&, double,
                                   float*, Purity*, int);
template Verdict collision_entropy(const std::vector<View<double>>&, const std::vector<std::vector<index_t>>&, double,
                                   double*, Purity*, int);

}  // namespace fastrenyi::cpu
