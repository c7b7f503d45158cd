// From matrices somewhere in memory to one packed triangle whose elements are vectors of lanes.
#pragma once
#include "cpu/simd/engine.hpp"
#include "cpu/simd/transpose.hpp"
#include "cpu/simd/tridiagonal.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

/// packed = scale * first (o second if `product`) (o common if it is not null), the rows of the matrices from the
/// diagonal on as its columns. Returns the largest magnitude of each lane.
template <class T, bool product>
Vec<T> interleave(const Lane<T>* const* items, index_t n, const Symmetric<T>* common, T scale, Vec<T>* packed) {
    constexpr index_t L = lanes<T>;
    Vec<T> largest = Vec<T>{};
    // Elements i to i + L of row j of all lanes, or up to n if not `whole`; the first `skipped` are not wanted.
    const auto square = [&](auto whole, index_t j, index_t i, index_t skipped) __attribute__((always_inline)) {
        const auto at = [&](const Symmetric<T>& a) __attribute__((always_inline)) {
            const T* x = a.data + j * a.stride + i;
            return decltype(whole)::value ? load<T>(x) : load_some<T>(x, n - i);
        };
        Vec<T> factor = splat<T>(scale), x[L];
        if (common) factor *= at(*common);
        for (int q = 0; q < L; ++q) {
            x[q] = at(items[q]->first) * factor;
            if (product) x[q] *= at(items[q]->second);
        }
        transpose<T>(x);
        Vec<T>* out = packed + column(n, j) + i;
        for (index_t k = skipped; k < (decltype(whole)::value ? L : n - i); ++k) {
            out[k] = x[k];
            largest = larger(largest, magnitude(x[k]));
        }
    };
    for (index_t j = 0; j < n; ++j) {
        index_t i = j;
        for (; i + L <= n; i += L) square(Constant<true>{}, j, i, 0);
        if (i == n) continue;
        if (n >= L)  // the last L elements of the row, of which the first are left of the diagonal or done already
            square(Constant<true>{}, j, n - L, i - (n - L));
        else
            square(Constant<false>{}, j, i, 0);
    }
    return largest;
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
