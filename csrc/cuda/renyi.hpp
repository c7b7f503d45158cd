// Entropies of one spectrum by one warp: the formulas of cpu/entropy.cpp, for the kernels of entropy and of pairs.
//
// Every warp does all of it alone and sums in one order, so that an entropy has the same bits wherever it is taken.
#pragma once
#include <cmath>
#include <limits>

#include "cuda/launch.hpp"
#include "ops/entropy.hpp"

namespace fastrenyi::cuda {

/// Orders travel as arguments of a kernel: nothing needs to be copied to the device, and a graph can hold them.
struct Orders {
    static constexpr int most = 128;
    double order[most];
    int count;
};

/// The orders from `first` on, as many as fit.
inline Orders some_orders(const double* orders, index_t count, index_t first) {
    Orders some;
    some.count = static_cast<int>(count - first < Orders::most ? count - first : Orders::most);
    for (int m = 0; m < some.count; ++m) some.order[m] = orders[first + m];
    return some;
}

/// What a spectrum says before an order is asked for.
struct Extent {
    double sum;       ///< of the eigenvalues above zero
    double largest;   ///< as a probability
    double cutoff;    ///< probabilities up to this one are zero in the sense of rank
    bool zero;        ///< no eigenvalue differs from zero
    bool indefinite;  ///< an eigenvalue is below -max(n, 8) epsilon times the largest
};

template <class T, class Block>
FASTRENYI_DEVICE Extent extent_of(Block& block, const T* values, index_t n, double epsilon) {
    const int lane = block.thread() % warp_size;
    double lowest = std::numeric_limits<double>::infinity(), highest = -lowest, sum = 0.0;
    for (index_t i = lane; i < n; i += warp_size) {
        const double value = values[i];
        lowest = value < lowest ? value : lowest;
        highest = value > highest ? value : highest;
        sum += value < 0.0 ? 0.0 : value;  // NaN stays
    }
    sum = block.warp_sum(sum);
    highest = block.warp_largest(highest);
    lowest = -block.warp_largest(-lowest);
    const double largest = highest / sum, rounding = static_cast<double>(n < least_judged ? least_judged : n) * epsilon;
    const double cutoff = static_cast<double>(n) * epsilon * largest;
    return {sum, largest, cutoff, lowest == 0.0 && highest == 0.0, lowest < -rounding * highest};
}

/// S_order in bits.
template <class T, class Block>
FASTRENYI_DEVICE double renyi(Block& block, const T* values, index_t n, const Extent& extent, double order) {
    constexpr double bits_per_nat = 1.4426950408889634;
    const bool none = order == 0.0, one = order == 1.0, two = order == 2.0;
    if (order == std::numeric_limits<double>::infinity()) return -std::log2(extent.largest);
    const bool near_one = !one && std::abs(order - 1.0) <= 0.5;
    double sum = 0.0;
    for (index_t i = block.thread() % warp_size; i < n; i += warp_size) {
        const double p = values[i] / extent.sum;
        if (p < std::numeric_limits<double>::min()) continue;
        if (none)
            sum += p > extent.cutoff ? 1.0 : 0.0;
        else if (two)
            sum += p * p;
        else if (one)
            sum += p * std::log(p);
        else if (near_one)  // p^order - p, which loses nothing as the order nears 1
            sum += p * std::expm1((order - 1.0) * std::log(p));
        else  // relative to the largest, so that no power underflows to an empty sum
            sum += std::exp(order * std::log(p / extent.largest));
    }
    sum = block.warp_sum(sum);
    if (none) return std::log2(sum);
    if (one) return -bits_per_nat * sum;
    if (two) return -std::log2(sum);
    if (near_one) return bits_per_nat * std::log1p(sum) / (1.0 - order);
    return order / (1.0 - order) * std::log2(extent.largest) + std::log2(sum) / (1.0 - order);
}

/// unit * S of each order from `first` on in steps of `step`, into out[m]; to be called by a whole warp. What is wrong
/// with the spectrum is reported as of matrix `index`, and its entropies are NaN.
template <class T, class Block>
FASTRENYI_DEVICE void entropies(Block& block, const T* values, index_t n, const Orders& orders, int first, int step,
                                double epsilon, double unit, T* out, index_t index, Status* status) {
    const Extent extent = extent_of(block, values, n, epsilon);
    const bool writes = block.thread() % warp_size == 0;
    if (writes && extent.zero) report(block, status, index, Finding::trace);
    if (writes && extent.indefinite) report(block, status, index, Finding::indefinite);
    for (int m = first; m < orders.count; m += step) {
        double bits = renyi(block, values, n, extent, orders.order[m]);
        if (extent.zero || extent.indefinite || std::isnan(extent.sum)) bits = std::numeric_limits<double>::quiet_NaN();
        if (writes) out[m] = static_cast<T>(unit * bits + 0.0);  // + 0.0: no negative zero
    }
}

}  // namespace fastrenyi::cuda
