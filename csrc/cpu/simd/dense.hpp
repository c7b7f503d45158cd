// One dense symmetric matrix to tridiagonal form and back: a lane is a column.
//
// Rows are padded to whole vectors and start on one. Of the matrix the lower triangle is kept, and the squares of
// `block_rows` on the diagonal whole, so that no vector needs a mask. Reflections H_k = I - u u' with |u|^2 = 2 act on
// the first k rows and columns, so that what is left to do always starts at the first element.
#pragma once
#include "cpu/simd/engine.hpp"
#include "cpu/simd/lanes.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

template <class T>
constexpr int block_rows = lanes<T> < 4 ? 4 : lanes<T>;

constexpr index_t passes_at_once = 8;  // through a matrix, between two rests

/// Elements from one row to the next of a matrix of order n.
template <class T>
index_t padded(index_t n) {
    return (n + block_rows<T> - 1) / block_rows<T> * block_rows<T>;
}

template <class T>
FASTRENYI_INLINE Vec<T>& vector_at(T* x) {
    return *reinterpret_cast<Vec<T>*>(x);
}
template <class T>
FASTRENYI_INLINE const Vec<T>& vector_at(const T* x) {
    return *reinterpret_cast<const Vec<T>*>(x);
}

template <class T>
FASTRENYI_INLINE T sum_of_lanes(Vec<T> x) {
    T part[lanes<T>];
    for (int q = 0; q < lanes<T>; ++q) part[q] = x[q];
    for (int half = lanes<T> / 2; half > 0; half /= 2)
        for (int q = 0; q < half; ++q) part[q] += part[q + half];
    return part[0];
}

/// <x, y> over whole vectors that cover n elements.
template <class T>
FASTRENYI_INLINE T dot(const T* x, const T* y, index_t n) {
    Vec<T> even = Vec<T>{}, odd = Vec<T>{};
    index_t j = 0;
    for (; j + lanes<T> < n; j += 2 * lanes<T>) {
        even += vector_at(x + j) * vector_at(y + j);
        odd += vector_at(x + j + lanes<T>) * vector_at(y + j + lanes<T>);
    }
    if (j < n) even += vector_at(x + j) * vector_at(y + j);
    return sum_of_lanes<T>(even + odd);
}

/// What the passes work with, each `ld` elements: zero beyond the part in use.
template <class T>
struct Reflection {
    T *v, *w;       ///< the pending update a -= v w' + w v'
    T* u;           ///< the next reflection
    T *p, *across;  ///< a u, from the elements below the diagonal blocks and from the rows
    Reflection(T* work, index_t ld) : v(work), w(work + ld), u(work + 2 * ld), p(work + 3 * ld), across(work + 4 * ld) {
        for (index_t j = 0; j < 5 * ld; ++j) work[j] = 0;
    }
};

/// Rows i to i + R - 1 of one pass: the pending update and, on the updated elements, the product with u. Both share one
/// trip through the matrix, and R rows share each v, w, u and p.
template <class T, int R, bool pending>
FASTRENYI_INLINE void fused_rows(T* a, index_t ld, index_t i, const Reflection<T>& s) {
    using V = Vec<T>;
    constexpr int L = lanes<T>;
    const index_t block = i / block_rows<T> * block_rows<T>;
    T* row[R];
    V minus_v[R], minus_w[R], own_u[R], sum[R];
    for (int q = 0; q < R; ++q) {
        row[q] = a + (i + q) * ld;
        if (pending) minus_v[q] = splat<T>(-s.v[i + q]), minus_w[q] = splat<T>(-s.w[i + q]);
        own_u[q] = splat<T>(s.u[i + q]);
        sum[q] = V{};
    }
    const auto step = [&](auto below, index_t j) __attribute__((always_inline)) {
        V v, w, p;
        const V u = vector_at(s.u + j);
        if (pending) v = vector_at(s.v + j), w = vector_at(s.w + j);
        if (decltype(below)::value) p = vector_at(s.p + j);
        for (int q = 0; q < R; ++q) {
            V x = vector_at(row[q] + j);
            if (pending) {
                x += v * minus_w[q];
                x += w * minus_v[q];
                vector_at(row[q] + j) = x;
            }
            if (decltype(below)::value) p += x * own_u[q];
            sum[q] += x * u;
        }
        if (decltype(below)::value) vector_at(s.p + j) = p;
    };
    for (index_t j = 0; j < block; j += L) step(Constant<true>{}, j);
    for (index_t j = block; j < block + block_rows<T>; j += L) step(Constant<false>{}, j);
    if constexpr (R == 4)
        sums_of_lanes<T>(sum, s.across + i);
    else
        for (int q = 0; q < R; ++q) s.across[i + q] = sum_of_lanes<T>(sum[q]);
}

/// p = a u over the first k rows and columns, after the pending update.
template <class T, bool pending>
void fused_pass(T* a, index_t ld, index_t k, const Reflection<T>& s) {
    for (index_t j = 0; j < k; j += lanes<T>) vector_at(s.p + j) = Vec<T>{};
    index_t i = 0;
    for (; i + 4 <= k; i += 4) fused_rows<T, 4, pending>(a, ld, i, s);
    for (; i < k; ++i) fused_rows<T, 1, pending>(a, ld, i, s);
    for (index_t j = 0; j < k; ++j) s.p[j] += s.across[j];
    for (index_t j = k; j % block_rows<T> != 0; ++j) s.p[j] = 0;
}

/// H a H = a - u w' - w u' with w = p - (p'u / 2) u: makes that the pending update.
template <class T>
FASTRENYI_INLINE void pend(Reflection<T>& s, index_t k) {
    const Vec<T> product = splat<T>(dot(s.p, s.u, k) / 2);
    for (index_t j = 0; j < k; j += lanes<T>) vector_at(s.p + j) -= product * vector_at(s.u + j);
    T *const v = s.v, *const w = s.w;
    s.v = s.u, s.w = s.p, s.u = v, s.p = w;
}

/// a = Q T Q' with Q = H_{n-1} ... H_2: overwrites row k of a, k = 2 to n - 1, with u of H_k and zeros; writes the
/// diagonal d (n) and the off-diagonal e (n - 1) of T. `work` holds 5 ld elements.
template <class T>
void reduce(T* a, index_t n, index_t ld, T* d, T* e, T* work, Rest* rest) {
    using V = Vec<T>;
    Reflection<T> s(work, ld);
    for (index_t k = n - 1; k >= 0; --k) {
        if (k % passes_at_once == 0) rest();
        T* const x = a + k * ld;
        if (k < n - 1 && n > 2) {  // this row's part of the pending update, ahead of the pass
            const V minus_v = splat<T>(-s.v[k]), minus_w = splat<T>(-s.w[k]);
            for (index_t j = 0; j <= k; j += lanes<T>) {
                V y = vector_at(x + j);
                y += vector_at(s.v + j) * minus_w;
                y += vector_at(s.w + j) * minus_v;
                vector_at(x + j) = y;
            }
        }
        d[k] = x[k];
        if (k == 1) e[0] = x[0];
        for (index_t j = k < 2 ? 0 : k; j < ld; ++j) x[j] = 0;
        if (k < 2) continue;  // nothing to eliminate: the rows that are left wait for the pending update
        const T norm = root(dot(x, x, k)), head = x[k - 1], beta = head < 0 ? norm : -norm;
        const T half = beta * (beta - head);  // |x - beta e|^2 / 2
        const bool something = half > LanesOf<T>::smallest;
        e[k - 1] = something ? beta : head;
        const T factor = something ? 1 / root(half) : T(0);
        x[k - 1] = something ? head - beta : T(0);
        for (index_t j = 0; j < ld; j += lanes<T>) vector_at(s.u + j) = vector_at(x + j) *= splat<T>(factor);
        if (k < n - 1)
            fused_pass<T, true>(a, ld, k, s);
        else
            fused_pass<T, false>(a, ld, k, s);
        pend(s, k);
    }
}

/// Rows i to i + R - 1 of m times H_2 ... H_last, R <= i.
template <class T, int R>
FASTRENYI_INLINE void reflect_rows(T* m, index_t ld, index_t i, const T* reflections, index_t first, index_t last) {
    using V = Vec<T>;
    T* row[R];
    for (int q = 0; q < R; ++q) row[q] = m + (i + q) * ld;
    V minus[R];
    for (int q = 0; q < R; ++q) minus[q] = V{};
    const T* before = reflections;                 // any row: it is added zero times
    for (index_t k = first; k <= last + 1; ++k) {  // what H_{k-1} changes and H_k multiplies is one trip
        const T* u = k <= last ? reflections + k * ld : before;
        V sum[R];
        for (int q = 0; q < R; ++q) sum[q] = V{};
        for (index_t j = 0; j < k; j += lanes<T>) {
            const V old = vector_at(before + j), next = vector_at(u + j);
            for (int q = 0; q < R; ++q) {
                V x = vector_at(row[q] + j);
                x += minus[q] * old;
                vector_at(row[q] + j) = x;
                sum[q] += x * next;
            }
        }
        T sums[R];
        if constexpr (R == 4)
            sums_of_lanes<T>(sum, sums);
        else
            for (int q = 0; q < R; ++q) sums[q] = sum_of_lanes<T>(sum[q]);
        for (int q = 0; q < R; ++q) minus[q] = splat<T>(-sums[q]);
        before = u;
    }
}

/// The upper halves of the diagonal blocks from the lower.
template <class T>
void mirror_blocks(T* m, index_t n, index_t ld) {
    for (index_t i = 0; i < n; ++i)
        for (index_t j = i / block_rows<T> * block_rows<T>; j < i; ++j) m[j * ld + i] = m[i * ld + j];
}

/// Q m Q' of a symmetric m, for the reflections that `reduce` left. `work` holds 5 ld elements.
template <class T>
void expand(T* m, const T* reflections, index_t n, index_t ld, T* work, Rest* rest) {
    // Row i stands below the square that H_k changes from both sides as long as k <= i.
    index_t i = 2;
    for (; i + 4 <= n; i += 4) {
        rest();
        reflect_rows<T, 4>(m, ld, i, reflections, 2, i);
        for (index_t r = 1; r < 4; ++r) reflect_rows<T, 1>(m, ld, i + r, reflections, i + 1, i + r);
    }
    for (; i < n; ++i) reflect_rows<T, 1>(m, ld, i, reflections, 2, i);
    mirror_blocks(m, n, ld);
    Reflection<T> s(work, ld);
    for (index_t k = 2; k < n; ++k) {
        if (k % passes_at_once == 0) rest();
        for (index_t j = 0; j < k; j += lanes<T>) vector_at(s.u + j) = vector_at(reflections + k * ld + j);
        if (k > 2)
            fused_pass<T, true>(m, ld, k, s);
        else
            fused_pass<T, false>(m, ld, k, s);
        pend(s, k);
    }
    for (index_t j = 0; j < ld; ++j) s.u[j] = 0;
    if (n > 2) fused_pass<T, true>(m, ld, n - 1, s);
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
