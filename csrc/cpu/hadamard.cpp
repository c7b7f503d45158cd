#include "ops/hadamard.hpp"

#include "common/parallel.hpp"
#include "cpu/product.hpp"

namespace fastrenyi::cpu {

template <class T>
Verdict hadamard(const std::vector<View<T>>& factors, T* out, int threads) {
    const index_t batch = factors.front().batch, n = factors.front().rows;
    threads = thread_count(threads, 1.0 * batch * n * n * factors.size());
    std::vector<Verdict> verdicts(static_cast<std::size_t>(threads));
    parallel_for(batch, threads, [&](index_t b, int worker) {
        std::vector<View<T>> matrices;
        matrices.reserve(factors.size());
        for (const View<T>& factor : factors) matrices.push_back(factor.matrix(b));
        if (!joint_gram(matrices.data(), static_cast<index_t>(matrices.size()), n, out + b * n * n))
            verdicts[worker].keep_first({Verdict::Kind::zero_trace, b, 0.0});
    });
    Verdict first;
    for (const Verdict& verdict : verdicts) first.keep_first(verdict);
    return first;
}

template Verdict hadamard(const std::vector<View<float>>&, float*, int);
template Verdict hadamard(const std::vector<View<double>>&, double*, int);

}  // namespace fastrenyi::cpu
