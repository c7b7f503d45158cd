#include "ops/entropy.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {
namespace {

const double bits_per_nat = 1.0 / std::log(2.0);

/// Entropy of order alpha in bits of probabilities p that sum to one; `largest` is their maximum, `cutoff` the
/// probability up to which one is zero in the sense of rank.
double renyi(const std::vector<double>& p, double largest, double cutoff, double alpha) {
    const auto n = static_cast<index_t>(p.size());
    double sum = 0.0;
    if (alpha == 0.0) {
        for (const double q : p) sum += q > cutoff;
        return std::log2(sum);
    }
    if (alpha == 1.0) {
        return -bits_per_nat * engine<double>().sum_p_log_p(p.data(), n);
    }
    if (alpha == 2.0) {
        for (const double q : p) sum += q * q;
        return -std::log2(sum);
    }
    if (std::isinf(alpha)) return -std::log2(largest);
    if (std::abs(alpha - 1.0) <= 0.5) {
        // sum p^alpha - 1 = sum p (p^(alpha-1) - 1), which loses nothing as alpha nears 1
        sum = engine<double>().sum_power_excess(p.data(), n, alpha - 1.0);
        return bits_per_nat * std::log1p(sum) / (1.0 - alpha);
    }
    // relative to the largest, so that no power underflows to an empty sum
    for (const double q : p)
        if (q > 0.0) sum += std::pow(q / largest, alpha);
    return alpha / (1.0 - alpha) * std::log2(largest) + std::log2(sum) / (1.0 - alpha);
}

/// Clips rounding, normalises into p, and judges.
template <class T>
Verdict probabilities(const T* spectrum, index_t n, index_t index, std::vector<double>& p, double epsilon) {
    const auto [lowest, highest] = std::minmax_element(spectrum, spectrum + n);
    if (*lowest == T(0) && *highest == T(0)) return {Verdict::Kind::zero_trace, index, 0.0};
    double sum = 0.0, trace = 0.0;
    for (index_t i = 0; i < n; ++i) {
        trace += spectrum[i];
        sum += p[i] = std::max(0.0, static_cast<double>(spectrum[i]));
    }
    for (double& q : p) q /= sum;
    const double tolerance = static_cast<double>(std::max(n, least_judged)) * epsilon;
    if (*lowest < -tolerance * *highest) return {Verdict::Kind::indefinite, index, *lowest / trace};
    return {};
}

}  // namespace

template <class T>
Verdict entropy(const T* spectra, index_t batch, index_t n, const double* orders, index_t order_count, double epsilon,
                double unit, T* out, int threads) {
    constexpr index_t block = 64;  // spectra to a piece of work: one alone is too small to hand out
    const double cutoff = static_cast<double>(n) * epsilon;
    threads = thread_count(threads, 50.0 * batch * n * order_count);
    std::vector<Verdict> verdicts(static_cast<std::size_t>(threads));
    parallel_for((batch + block - 1) / block, threads, [&](index_t piece, int worker) {
        std::vector<double> p(static_cast<std::size_t>(n));
        for (index_t b = piece * block; b < std::min(batch, (piece + 1) * block); ++b) {
            const Verdict verdict = probabilities(spectra + b * n, n, b, p, epsilon);
            verdicts[worker].keep_first(verdict);
            if (verdict.kind != Verdict::Kind::fine) continue;
            const double largest = *std::max_element(p.begin(), p.end());
            for (index_t m = 0; m < order_count; ++m) {
                const double bits = renyi(p, largest, cutoff * largest, orders[m]);
                out[b * order_count + m] = static_cast<T>(unit * bits + 0.0);  // + 0.0: no negative zero
            }
        }
    });
    Verdict first;
    for (const Verdict& verdict : verdicts) first.keep_first(verdict);
    return first;
}

template Verdict entropy(const float*, index_t, index_t, const double*, index_t, double, double, float*, int);
template Verdict entropy(const double*, index_t, index_t, const double*, index_t, double, double, double*, int);

}  // namespace fastrenyi::cpu
