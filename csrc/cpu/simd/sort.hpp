// Ascending order in every lane at once.
#pragma once
#include "cpu/simd/lanes.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

/// Batcher's odd-even merge sort: a fixed sequence of exchanges, so that lanes need not agree.
template <class T>
void sort_lanes(Vec<T>* x, index_t n) {
    for (index_t p = 1; p < n; p *= 2)
        for (index_t k = p; k >= 1; k /= 2)
            for (index_t j = k % p; j + k < n; j += 2 * k)
                for (index_t i = j; i < j + k && i + k < n; ++i) {
                    if ((i ^ (i + k)) >= 2 * p) continue;  // not in one run of 2 p
                    const Vec<T> a = x[i], b = x[i + k];
                    x[i] = b < a ? b : a;
                    x[i + k] = b < a ? a : b;
                }
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
