// What the door asks of every matrix, in one pass.
#pragma once
#include "cpu/simd/engine.hpp"
#include "cpu/simd/transpose.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

template <class T>
FASTRENYI_INLINE T largest_of(Vec<T> x) {
    T largest = x[0];
    for (int q = 1; q < lanes<T>; ++q) largest = x[q] > largest ? x[q] : largest;
    return largest;
}

/// See Engine::extent. Squares of the lower triangle are compared with those they mirror, transposed; the last ones
/// overlap what is done already, which changes no maximum.
template <class T>
Extent<T> extent(Symmetric<T> a, index_t n) {
    constexpr index_t L = lanes<T>;
    Vec<T> zero = Vec<T>{}, largest = Vec<T>{}, asymmetry = Vec<T>{};
    const auto squares = [&](auto whole, index_t i, index_t j) __attribute__((always_inline)) {
        const auto at = [&](index_t row, index_t col) __attribute__((always_inline)) {
            if (decltype(whole)::value) return load<T>(a.data + row * a.stride + col);
            return row < n ? load_some<T>(a.data + row * a.stride + col, n - col) : Vec<T>{};
        };
        Vec<T> mirror[L];
        for (int q = 0; q < L; ++q) mirror[q] = at(j + q, i);
        transpose<T>(mirror);
        for (int q = 0; q < L; ++q) {
            const Vec<T> x = at(i + q, j);
            asymmetry = larger(asymmetry, magnitude(x - mirror[q]));
        }
    };
    for (index_t i = 0; i < n; ++i) {  // in the order of memory, which brings the matrix into the cache
        const T* row = a.data + i * a.stride;
        const auto add = [&](Vec<T> x) __attribute__((always_inline)) {
            largest = larger(largest, magnitude(x));
            zero += x * T(0);  // NaN if an element is not finite
        };
        index_t j = 0;
        for (; j + L <= n; j += L) add(load<T>(row + j));
        if (j < n) add(n < L ? load_some<T>(row, n) : load<T>(row + n - L));
    }
    if (n < L) {
        squares(Constant<false>{}, 0, 0);
    } else {
        for (index_t i = 0; i < n; i += L)
            for (index_t j = 0; j <= i; j += L) squares(Constant<true>{}, i < n - L ? i : n - L, j < n - L ? j : n - L);
    }
    bool finite = true;
    for (int q = 0; q < L; ++q) finite = finite && zero[q] == T(0);
    return {finite, largest_of<T>(largest), largest_of<T>(asymmetry)};
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
