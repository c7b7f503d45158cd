// Squares of lanes x lanes elements in registers.
#pragma once
#include "cpu/simd/lanes.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

template <class T>
FASTRENYI_INLINE Vec<T> load(const T* x) {
    Vec<T> values;
    __builtin_memcpy(&values, x, sizeof values);
    return values;
}

/// The first `count` elements, zeros after them.
template <class T>
FASTRENYI_INLINE Vec<T> load_some(const T* x, index_t count) {
    Vec<T> values = Vec<T>{};
    for (index_t q = 0; q < count; ++q) values[q] = x[q];
    return values;
}

/// Exchanges the blocks of `size` off the diagonal in each square of twice that size.
template <int size, class T>
FASTRENYI_INLINE void exchange_blocks(Vec<T>* rows) {
    for (int r = 0; r < lanes<T>; ++r) {
        if (r & size) continue;
        const Vec<T> first = rows[r], second = rows[r + size];
        rows[r] = blocks_of<size, 0, T>(first, second);
        rows[r + size] = blocks_of<size, size, T>(first, second);
    }
}

/// Element q of row r becomes element r of row q.
template <class T>
FASTRENYI_INLINE void transpose(Vec<T>* rows) {
    if constexpr (lanes<T> > 8) exchange_blocks<8, T>(rows);
    if constexpr (lanes<T> > 4) exchange_blocks<4, T>(rows);
    if constexpr (lanes<T> > 2) exchange_blocks<2, T>(rows);
    exchange_blocks<1, T>(rows);
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
