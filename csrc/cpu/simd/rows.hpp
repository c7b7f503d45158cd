// Rows of entrywise products, of Grams and of the weights that take a Gram's gradient to its samples.
#pragma once
#include "cpu/simd/transpose.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

/// row_j = scale factor_j.
template <class T>
void scale_row(double* row, const T* factor, double scale, index_t n) {
    for (index_t j = 0; j < n; ++j) row[j] = scale * factor[j];
}

/// row_j *= scale factor_j.
template <class T>
void multiply_row(double* row, const T* factor, double scale, index_t n) {
    for (index_t j = 0; j < n; ++j) row[j] *= scale * factor[j];
}

/// out_j += scale x_j y_j; without y, scale x_j.
template <class T, class Other>
void add_product_row(T* out, const double* x, const Other* y, double scale, index_t n) {
    if (y)
        for (index_t j = 0; j < n; ++j) out[j] += static_cast<T>(scale * x[j] * y[j]);
    else
        for (index_t j = 0; j < n; ++j) out[j] += static_cast<T>(scale * x[j]);
}

/// Whether all elements are finite: then, and only then, their sum times zero is zero.
template <class T>
bool all_finite(const T* x, index_t n) {
    Vec<T> sum = Vec<T>{};
    index_t j = 0;
    for (; j + 4 * lanes<T> <= n; j += 4 * lanes<T>)
        sum += (load(x + j) * T(0) + load(x + j + lanes<T>) * T(0)) +
               (load(x + j + 2 * lanes<T>) * T(0) + load(x + j + 3 * lanes<T>) * T(0));
    T total = 0;
    for (; j < n; ++j) total += x[j] * T(0);
    for (int q = 0; q < lanes<T>; ++q) total += sum[q];
    return total == T(0);
}

/// The largest magnitude.
template <class T>
T largest(const T* x, index_t n) {
    Vec<T> most = Vec<T>{};
    index_t j = 0;
    for (; j + lanes<T> <= n; j += lanes<T>) most = larger(most, magnitude(load(x + j)));
    most = larger(most, magnitude(load_some(x + j, n - j)));
    T all = 0;
    for (int q = 0; q < lanes<T>; ++q) all = all < most[q] ? most[q] : all;
    return all;
}

/// sum_j f(x_j).
template <class T, class F>
FASTRENYI_INLINE double sum_of(const T* x, index_t n, F f) {
    Reals sum[parts<T>] = {};
    const auto add = [&](Vec<T> values) __attribute__((always_inline)) {
        Reals found[parts<T>];
        in_double<T>(values, found);
        for (int h = 0; h < parts<T>; ++h) sum[h] += f(found[h]);
    };
    index_t j = 0;
    for (; j + lanes<T> <= n; j += lanes<T>) add(load(x + j));
    add(load_some(x + j, n - j));
    double total = 0;
    for (int h = 0; h < parts<T>; ++h)
        for (int q = 0; q < lanes<double>; ++q) total += sum[h][q];
    return total;
}

template <class T>
double sum(const T* x, index_t n) {
    return sum_of(x, n, [](Reals values) __attribute__((always_inline)) { return values; });
}

template <class T>
double squares(const T* x, index_t n) {
    return sum_of(x, n, [](Reals values) __attribute__((always_inline)) { return values * values; });
}

/// out_j = factor x_j.
template <class T>
void scale(T* out, const T* x, T factor, index_t n) {
    for (index_t j = 0; j < n; ++j) out[j] = factor * x[j];
}

/// row_j = (row_j - first_j) - second_j.
template <class T>
void subtract(T* row, const T* first, const T* second, index_t n) {
    for (index_t j = 0; j < n; ++j) row[j] = (row[j] - first[j]) - second[j];
}

/// Rows [first, first + height) of (g + g') o a for dense (n, n) g and a, into `out` (height, n).
template <class T>
void weigh_rows(const T* g, const T* a, index_t n, index_t first, index_t height, T* out) {
    constexpr int L = lanes<T>;
    for (index_t i = 0; i < height; i += L) {
        const index_t rows = height - i < L ? height - i : L;
        for (index_t j = 0; j < n; j += L) {
            const index_t cols = n - j < L ? n - j : L;
            Vec<T> mirrored[L];
            if (rows == L && cols == L) {
                for (int q = 0; q < L; ++q) mirrored[q] = load(g + (j + q) * n + first + i);
                transpose<T>(mirrored);
                for (int q = 0; q < L; ++q) {
                    const index_t at = (first + i + q) * n + j;
                    const Vec<T> weight = (load(g + at) + mirrored[q]) * load(a + at);
                    __builtin_memcpy(out + (i + q) * n + j, &weight, sizeof weight);
                }
            } else {
                for (index_t q = 0; q < rows; ++q)
                    for (index_t p = 0; p < cols; ++p) {
                        const index_t row = first + i + q, at = row * n + j + p;
                        out[(i + q) * n + j + p] = (g[at] + g[(j + p) * n + row]) * a[at];
                    }
            }
        }
    }
}

/// out_i = sum_j w_ij (x_j - x_i), or of signs of that, for `height` rows of x from `first` on, w (height, n). Rows of
/// x and of out are `ld` apart, a multiple of the lanes, and zero beyond the features. Differences and not a product of
/// matrices: no digit is lost far from the origin, or near one sample and far from another. They are to be finite.
template <class T, bool signs>
void pull_rows(const T* x, index_t ld, const T* w, index_t n, index_t first, index_t height, T* out) {
    using V = Vec<T>;
    constexpr int L = lanes<T>, R = 4, C = 2;  // rows and vectors of features that share a trip over j
    for (index_t i = 0; i < height; i += R) {
        const T *own[R], *weights[R];
        for (int r = 0; r < R; ++r) {
            const index_t row = i + r < height ? i + r : height - 1;
            own[r] = x + (first + row) * ld;
            weights[r] = w + row * n;
        }
        for (index_t k = 0; k < ld; k += C * L) {
            const auto trip = [&](auto width) __attribute__((always_inline)) {
                constexpr int vectors = decltype(width)::value ? C : 1;
                V mine[R][vectors], sum[R][vectors];
                for (int r = 0; r < R; ++r)
                    for (int c = 0; c < vectors; ++c) mine[r][c] = load(own[r] + k + c * L), sum[r][c] = V{};
                for (index_t j = 0; j < n; ++j) {
                    V other[vectors];
                    for (int c = 0; c < vectors; ++c) other[c] = load(x + j * ld + k + c * L);
                    for (int r = 0; r < R; ++r) {
                        const T weight = weights[r][j];
                        for (int c = 0; c < vectors; ++c) {
                            const V difference = other[c] - mine[r][c];
                            if (signs)
                                sum[r][c] += difference > V{}   ? splat<T>(weight)
                                             : difference < V{} ? splat<T>(-weight)
                                                                : V{};
                            else
                                sum[r][c] += difference * weight;
                        }
                    }
                }
                for (int r = 0; r < R && i + r < height; ++r)
                    for (int c = 0; c < vectors; ++c)
                        __builtin_memcpy(out + (i + r) * ld + k + c * L, &sum[r][c], sizeof sum[r][c]);
            };
            if (k + C * L <= ld)
                trip(Constant<true>{});
            else
                trip(Constant<false>{});
        }
    }
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
