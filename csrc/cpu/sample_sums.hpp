// What a block of samples has with those from its first on, summed over features: rows of sums that gram.cpp makes
// entries of. Both ways are read by blocks of `rows` samples, whose sums are `height` rounded up to 8 rows of `ld`
// doubles, zero before, ld >= width + 15.
#pragma once
#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
#include "cpu/dispatch.hpp"
#include "cpu/panels.hpp"

namespace fastrenyi::cpu {

/// Samples as they lie: contiguous features with a stride between samples.
template <class T>
struct Samples {
    const T* data;
    index_t stride, count, features;
    const T* row(index_t i) const { return data + i * stride; }
};

/// Sums of any core, feature by feature of the samples as they lie.
template <class T>
struct ByFeatures {
    static constexpr index_t rows = 16;  // that share one pass over the others
    Samples<T> x;
    Core core;
    double scale;

    void add(index_t first, index_t height, double* sums, index_t ld) const {
        for (index_t k = 0; k < x.features; k += block_features) {
            if (k > 0) stop_if_asked();
            engine<T>().add_block(core, x.row(first) + k, x.stride, height, x.count - first,
                                  std::min(block_features, x.features - k), scale, sums, ld);
        }
    }
};

/// Squared distances as |x|^2 + |y|^2 - 2 <x, y> of samples about their mean, at the rate of matrix products. One that
/// is small beside the squares, so that digits were lost, or that left the range, is made again from differences.
template <class T>
class ByProducts {
  public:
    static constexpr index_t rows = Panels<T>::rows;

    ByProducts(const Samples<T>& x, int threads)
        : x_(x),
          memory_(Panels<T>::bytes(x.count, x.features)),
          panels_(x.count, x.features, memory_.template as<T>()),
          squares_(static_cast<std::size_t>(panels_.count() * panels_.lanes() + most_lanes)) {
        std::vector<double> sums(static_cast<std::size_t>(x.features));
        for (index_t i = 0; i < x.count; i += rows) {
            stop_if_asked();
            engine<T>().add_rows(x.row(i), x.stride, std::min(rows, x.count - i), x.features, sums.data());
        }
        std::vector<T> centre(sums.size());
        for (std::size_t k = 0; k < sums.size(); ++k) centre[k] = static_cast<T>(sums[k] / x.count);
        parallel_for(panels_.count(), threads, [&](index_t p, int) {
            const index_t first = p * panels_.lanes();
            panels_.pack(p, x.row(first), x.stride, x.count - first, centre.data(), &squares_[first]);
        });
    }

    void add(index_t first, index_t height, double* sums, index_t ld) const {
        panels_.add(first, height, at_once, sums, ld);
        for (index_t i = 0; i < height; ++i) {
            const index_t own = first + i, left = x_.count - own - 1;
            double* const row = sums + i * ld + i + 1;
            if (engine<double>().distances_of_products(row, &squares_[own + 1], squares_[own], left, least)) continue;
            for (index_t j = 0; j < left; ++j)
                if (row[j] < 0) row[j] = by_differences(x_.row(own), x_.row(own + 1 + j));
        }
    }

  private:
    /// Features whose products are summed as they are, and of the sum of both squares what a distance must be not to be
    /// made again. What the products lose, over that share, is what a squared distance loses: in double 512 / 0.125
    /// roundings, 5e-13, at the very worst; of floats some roundings of the result were seen.
    static constexpr index_t at_once = sizeof(T) == 4 ? 64 : block_features;
    static constexpr double least = sizeof(T) == 4 ? 0.25 : 0.125;

    double by_differences(const T* x, const T* y) const {
        double sum = 0.0;
        for (index_t k = 0; k < x_.features; k += block_features)
            sum += engine<T>().squared_distance(x + k, y + k, std::min(block_features, x_.features - k));
        return sum;
    }

    Samples<T> x_;
    Aligned memory_;
    Panels<T> panels_;
    std::vector<double> squares_;
};

}  // namespace fastrenyi::cpu
