// Householder reduction of interleaved symmetric matrices to tridiagonal form.
#pragma once
#include "cpu/simd/engine.hpp"
#include "cpu/simd/lanes.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

/// Lower triangle, packed by columns: element (i, j), i >= j, of all lanes is a[column(n, j) + i].
FASTRENYI_INLINE index_t column(index_t n, index_t j) {
    return j * n - j * (j + 1) / 2;
}

/// Columns j to j + B - 1 of one pass: the pending update a -= v w' + w v' and, on the updated elements, p += a u.
/// Update and product share one trip through the matrix, and B columns share each v, w, u and p.
template <class T, int B, bool pending>
FASTRENYI_INLINE void fused_columns(Vec<T>* a, index_t n, index_t j, const Vec<T>* v, const Vec<T>* w, const Vec<T>* u,
                                    Vec<T>* p) {
    Vec<T>* element[B];
    Vec<T> minus_v[B], minus_w[B], u_column[B], p_column[B];
    for (int q = 0; q < B; ++q) {
        element[q] = a + column(n, j + q);
        u_column[q] = u[j + q];
        p_column[q] = Vec<T>{};
        if (pending) minus_v[q] = -v[j + q], minus_w[q] = -w[j + q];
    }
    for (int q = 0; q < B; ++q)  // the triangle on the diagonal
        for (int r = q; r < B; ++r) {
            Vec<T> x = element[q][j + r];
            if (pending) {
                x += v[j + r] * minus_w[q];
                x += w[j + r] * minus_v[q];
                element[q][j + r] = x;
            }
            p_column[r] += x * u_column[q];
            if (r != q) p_column[q] += x * u_column[r];
        }
    for (index_t i = j + B; i < n; ++i) {
        const Vec<T> u_row = u[i];
        Vec<T> v_row, w_row, sum = p[i];
        if (pending) v_row = v[i], w_row = w[i];
        for (int q = 0; q < B; ++q) {
            Vec<T> x = element[q][i];
            if (pending) {
                x += v_row * minus_w[q];
                x += w_row * minus_v[q];
                element[q][i] = x;
            }
            sum += x * u_column[q];
            p_column[q] += x * u_row;
        }
        p[i] = sum;
    }
    for (int q = 0; q < B; ++q) p[j + q] += p_column[q];
}

/// p = a u over the rows and columns from `first` on, after the pending update.
template <class T, bool pending>
void fused_pass(Vec<T>* a, index_t n, index_t first, const Vec<T>* v, const Vec<T>* w, const Vec<T>* u, Vec<T>* p) {
    for (index_t i = first; i < n; ++i) p[i] = Vec<T>{};
    index_t j = first;
    for (; j + 4 <= n; j += 4) fused_columns<T, 4, pending>(a, n, j, v, w, u, p);
    for (; j < n; ++j) fused_columns<T, 1, pending>(a, n, j, v, w, u, p);
}

/// Overwrites the packed a. Writes the diagonal d (n) and the squares of the off-diagonal e2 (n - 1).
/// Reflections are H = I - u u' with |u|^2 = 2; then H a H = a - u w' - w u' with p = a u, w = p - (p'u / 2) u.
/// `work` holds 4 n vectors.
template <class T>
void tridiagonalise(Vec<T>* a, index_t n, Vec<T>* d, Vec<T>* e2, Vec<T>* work, Rest* rest) {
    using V = Vec<T>;
    V *v = work, *w = work + n, *u = work + 2 * n, *p = work + 3 * n;
    for (index_t k = 0; k < n; ++k) {
        if (k % 32 == 31) rest();  // seldom: small matrices are many
        V* x = a + column(n, k);
        if (k > 0 && n > 2) {  // this column's part of the pending update, ahead of the pass
            const V minus_v = -v[k], minus_w = -w[k];
            for (index_t i = k; i < n; ++i) {
                x[i] += v[i] * minus_w;
                x[i] += w[i] * minus_v;
            }
        }
        d[k] = x[k];
        if (k == n - 1) break;
        V even = V{}, odd = V{};
        for (index_t i = k + 1; i < n; i += 2) even += x[i] * x[i];
        for (index_t i = k + 2; i < n; i += 2) odd += x[i] * x[i];
        e2[k] = even + odd;
        if (k == n - 2) continue;  // nothing left to eliminate: the last element waits for the pending update
        const V norm = root_of<T>(e2[k]);
        const V head = x[k + 1], beta = head < V{} ? norm : -norm;
        const V half = beta * (beta - head);  // |x - beta e_1|^2 / 2
        const auto something = half > splat<T>(LanesOf<T>::smallest);
        const V scale = something ? T(1) / root_of<T>(something ? half : splat<T>(1)) : V{};
        for (index_t i = k + 1; i < n; ++i) u[i] = x[i] * scale;
        u[k + 1] = (head - beta) * scale;
        if (k > 0)
            fused_pass<T, true>(a, n, k + 1, v, w, u, p);
        else
            fused_pass<T, false>(a, n, k + 1, v, w, u, p);
        V product = V{};
        for (index_t i = k + 1; i < n; ++i) product += p[i] * u[i];
        product *= T(0.5);
        for (index_t i = k + 1; i < n; ++i) p[i] -= product * u[i];
        V* const old_v = v;
        V* const old_w = w;
        v = u, w = p, u = old_v, p = old_w;
    }
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
