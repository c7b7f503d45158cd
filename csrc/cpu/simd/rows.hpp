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

/// sum_j row_j^2.
inline double sum_of_squares(const double* row, index_t n) {
    Vec<double> sum = Vec<double>{};
    index_t j = 0;
    for (; j + lanes<double> <= n; j += lanes<double>) {
        const Vec<double> x = load(row + j);
        sum += x * x;
    }
    double total = 0;
    for (int q = 0; q < lanes<double>; ++q) total += sum[q];
    for (; j < n; ++j) total += row[j] * row[j];
    return total;
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

/// Rows [first, first + height) of (g + g') o a for dense (n, n) g and a, into `out` (height, n), but on the diagonal
/// what makes the sum of each row zero.
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
    for (index_t i = 0; i < height; ++i) {
        T* const row = out + i * n;
        row[first + i] = 0;
        Vec<T> sum = Vec<T>{};
        index_t j = 0;
        for (; j + L <= n; j += L) sum += load(row + j);
        sum += load_some(row + j, n - j);
        for (int q = 0; q < L; ++q) row[first + i] -= sum[q];
    }
}

/// out_k += weight sign(x_k - y_k).
template <class T>
void add_signs(const T* x, const T* y, T weight, T* out, index_t d) {
    for (index_t k = 0; k < d; ++k) out[k] += x[k] > y[k] ? weight : x[k] < y[k] ? -weight : T(0);
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
