// Functions of a symmetric tridiagonal matrix as sums of resolvents: f(T) = sum_k weight_k (T + shift_k)^-1.
//
// The inverse of a tridiagonal matrix is a matrix of products: below the diagonal each row is the one above times a
// number. A resolvent so costs two operations an element, and no eigenvector is needed.
#pragma once
#include "cpu/simd/dense.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

constexpr int poles = lanes<double>;  // that are factored at once, in double
constexpr int in_row = 4;             // that share a trip through the rows; divides some number of `poles`

/// T + base = L D L', with pivots d and multipliers l; T's negative eigenvalues, of rounding, are above -base. A pivot
/// that rounding has made too small is a little of base.
template <class T>
FASTRENYI_INLINE void factor(const T* diagonal, const T* off, index_t n, double base, double* d, double* l) {
    double before = 0;
    for (index_t i = 0; i < n; ++i) {
        const double pivot = diagonal[i] + base - before, least = base * LanesOf<double>::epsilon;
        d[i] = pivot > least ? pivot : least;
        if (i == n - 1) break;
        l[i] = off[i] / d[i];
        before = l[i] * off[i];
    }
}

/// Of the inverse of L D L' + shift, shift >= 0: the diagonal, times the weight, and what takes a row of it to the next
/// below the diagonal, ratio[i] from row i - 1 to i. By the differential forms of Dhillon and Parlett: nothing is
/// subtracted, so that small eigenvalues keep their digits.
FASTRENYI_INLINE void invert(const double* d, const double* l, index_t n, Vec<double> shift, Vec<double> weight,
                             Vec<double>* diagonal, Vec<double>* ratio) {
    using V = Vec<double>;
    V below = shift;  // progressive: from the last row up
    diagonal[n - 1] = splat<double>(d[n - 1]);
    below += d[n - 1];
    for (index_t i = n - 1; i > 0; --i) {
        const double own = d[i - 1], multiplier = l[i - 1];
        const V part = own / (own * multiplier * multiplier + below);
        ratio[i] = -multiplier * part;
        diagonal[i - 1] = part * below;
        below = diagonal[i - 1] + shift;
    }
    V above = shift;  // stationary: from the first row down
    for (index_t i = 0; i < n; ++i) {
        diagonal[i] = weight / (above + diagonal[i]);
        if (i < n - 1) above = above / (above + d[i]) * (d[i] * l[i] * l[i]) + shift;
    }
}

/// Adds to the lower triangle of m (rows `ld` apart) the resolvents of T, count a multiple of `poles`, of about norm
/// one with their weights: elements far below rounding next to that are left out. No shift is below `base`, and T +
/// base is positive. `work` holds 2 n vectors and 2 n numbers of double, and in_row ld elements.
template <class T>
void add_resolvents(T* m, index_t n, index_t ld, const T* d, const T* e, const double* shifts, const double* weights,
                    index_t count, double base, void* work, Rest* rest) {
    using V = Vec<T>;
    Vec<double>* const diagonal = static_cast<Vec<double>*>(work);
    Vec<double>* const ratio = diagonal + n;
    T* const rows = reinterpret_cast<T*>(ratio + n);
    double* const pivots = reinterpret_cast<double*>(rows + in_row * ld);
    double* const multipliers = pivots + n;
    factor(d, e, n, base, pivots, multipliers);
    // Products shrink away from the diagonal; numbers below the normal range would be slow.
    const V nothing = splat<T>(LanesOf<T>::low * LanesOf<T>::low);
    for (index_t first = 0; first < count; first += poles) {
        Vec<double> shift, weight;
        for (int q = 0; q < poles; ++q) shift[q] = shifts[first + q] - base, weight[q] = weights[first + q];
        invert(pivots, multipliers, n, shift, weight, diagonal, ratio);
        constexpr int step = poles < in_row ? poles : in_row;
        for (int q = 0; q < poles; q += step) {
            rest();
            for (index_t j = 0; j < step * ld; ++j) rows[j] = 0;
            for (index_t i = 0; i < n; ++i) {
                V along[step];
                for (int k = 0; k < step; ++k) along[k] = i > 0 ? splat<T>(static_cast<T>(ratio[i][q + k])) : V{};
                T* const row = m + i * ld;
                if (i % 4 == 0)  // often enough
                    for (int k = 0; k < step; ++k)
                        for (index_t j = 0; j < i; j += lanes<T>) {
                            V& x = vector_at(rows + k * ld + j);
                            x = magnitude(x) > nothing ? x : V{};
                        }
                for (index_t j = 0; j < i; j += lanes<T>) {
                    V sum = vector_at(row + j);
                    for (int k = 0; k < step; ++k) {
                        V& x = vector_at(rows + k * ld + j);
                        x *= along[k];
                        sum += x;
                    }
                    vector_at(row + j) = sum;
                }
                for (int k = 0; k < step; ++k) {
                    const T value = static_cast<T>(diagonal[i][q + k]);
                    rows[k * ld + i] = value;
                    row[i] += value;
                }
            }
        }
    }
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
