// Samples packed for the engine's products, and the inner products of a block of them with those from its first on.
#pragma once
#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

constexpr index_t block_features = 512;  // that stay in cache while samples are compared

template <class T>
class Panels {
  public:
    static constexpr index_t rows = 32;  ///< to a block

    /// In `memory`, aligned to 64, of bytes(count, features).
    Panels(index_t count, index_t features, T* memory)
        : count_(count), panels_(panels_of(count)), features_(features), memory_(memory) {}

    static index_t bytes(index_t count, index_t features) {
        return panels_of(count) * lanes() * features * index_t(sizeof(T));
    }

    /// Samples to a panel.
    static index_t lanes() { return engine<T>().lanes; }
    index_t count() const { return panels_; }

    /// Panel p: the first of `count` samples `stride` apart, less the centre, and the squares of their lengths.
    void pack(index_t p, const T* samples, index_t stride, index_t count, const T* centre, double* squares) {
        engine<T>().pack(samples, stride, count, features_, centre, at(p), squares);
    }

    /// Features [from, from + count) of all: `count` rows, `stride` apart, of one number for each sample.
    void pack_features(const T* rows, index_t stride, index_t from, index_t count) {
        for (index_t p = 0; p < panels_; ++p) {
            const index_t first = p * lanes(), those = std::min(lanes(), count_ - first);
            for (index_t k = 0; k < count; ++k) {
                T* const to = at(p) + (from + k) * lanes();
                std::fill(std::copy_n(rows + k * stride + first, those, to), to + lanes(), T(0));
            }
        }
    }

    /// Adds to sums (height rounded up to 8 rows of ld) the products of samples [first, first + height), `at_once`
    /// features summed as they are and the sums in double. What stands left of the diagonal is of no use.
    void add(index_t first, index_t height, index_t at_once, double* sums, index_t ld) const {
        const index_t p = first / lanes();
        for (index_t k = 0; k < features_; k += at_once) {
            if (k % block_features == 0) stop_if_asked();
            engine<T>().add_products(at(p), panels_ - p, features_, height, k, std::min(k + at_once, features_), sums,
                                     ld);
        }
    }

  private:
    static index_t panels_of(index_t count) { return (count + lanes() - 1) / lanes(); }
    T* at(index_t p) const { return memory_ + p * lanes() * features_; }

    index_t count_, panels_, features_;
    T* memory_;
};

}  // namespace fastrenyi::cpu
