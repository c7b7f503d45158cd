#include "ops/hadamard.hpp"

#include <algorithm>

#include "common/parallel.hpp"
#include "cpu/blocks.hpp"
#include "cpu/product.hpp"
#include "cpu/subsets.hpp"

namespace fastrenyi::cpu {

template <class T>
Verdict hadamard(const std::vector<View<T>>& factors, T* out, int threads) {
    const index_t batch = factors.front().batch, n = factors.front().rows;
    std::vector<Verdict> verdicts(static_cast<std::size_t>(batch));
    threads = thread_count(threads, 1.0 * batch * n * n * factors.size());
    for_each_block(batch, n, threads, [&](index_t b, index_t first, index_t last, int) {
        const std::vector<View<T>> matrices = one_of_each(factors, b);
        const Product<T> product(matrices.data(), static_cast<index_t>(matrices.size()), n);
        T* const result = out + b * n * n;
        if (product.trace() == 0.0) {
            if (first == 0) verdicts[static_cast<std::size_t>(b)] = {Verdict::Kind::zero_trace, b, 0.0};
            std::fill(result + first * n, result + last * n, T(0));
            return;
        }
        std::vector<double> row(static_cast<std::size_t>(n));
        for (index_t i = first; i < last; ++i) {
            product.row(i, 1.0 / product.trace(), row.data());
            for (index_t j = 0; j < n; ++j) result[i * n + j] = static_cast<T>(row[j]);
        }
    });
    Verdict first;
    for (const Verdict& verdict : verdicts) first.keep_first(verdict);
    return first;
}

template Verdict hadamard(const std::vector<View<float>>&, float*, int);
template Verdict hadamard(const std::vector<View<double>>&, double*, int);

}  // namespace fastrenyi::cpu
