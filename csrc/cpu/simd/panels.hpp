// Inner products of samples, a sample a lane. A panel holds as many samples as a vector has lanes, feature by feature;
// those of a matrix follow each other.
#pragma once
#include "cpu/simd/gram.hpp"
#include "cpu/simd/transpose.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

/// sums_k += the sum over n samples, four at a time.
template <class T>
void add_rows(const T* rows, index_t stride, index_t n, index_t d, double* sums) {
    const auto at = [&](index_t i, index_t k) { return static_cast<double>(rows[i * stride + k]); };
    index_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (index_t k = 0; k < d; ++k) sums[k] += (at(i, k) + at(i + 1, k)) + (at(i + 2, k) + at(i + 3, k));
    for (; i < n; ++i)
        for (index_t k = 0; k < d; ++k) sums[k] += at(i, k);
}

/// See Engine::pack.
template <class T>
void pack(const T* rows, index_t stride, index_t n, index_t d, const T* centre, T* panel, double* squares) {
    constexpr index_t L = lanes<T>;
    Reals sum[parts<T>] = {};
    const auto square = [&](auto whole, index_t k) __attribute__((always_inline)) {
        const auto at = [&](const T* x) __attribute__((always_inline)) {
            return decltype(whole)::value ? load<T>(x + k) : load_some<T>(x + k, d - k);
        };
        const Vec<T> middle = at(centre);
        Vec<T> x[L];
        for (index_t q = 0; q < L; ++q) x[q] = at(rows + (q < n ? q : n - 1) * stride) - middle;
        transpose<T>(x);
        Vec<T> few = Vec<T>{};
        for (index_t q = 0; q < (decltype(whole)::value ? L : d - k); ++q) {
            few += x[q] * x[q];
            __builtin_memcpy(panel + (k + q) * L, &x[q], sizeof x[q]);
        }
        Reals found[parts<T>];
        in_double<T>(few, found);
        for (int h = 0; h < parts<T>; ++h) sum[h] += found[h];
    };
    index_t k = 0;
    for (; k + L <= d; k += L) square(Constant<true>{}, k);
    if (k < d) square(Constant<false>{}, k);
    __builtin_memcpy(squares, sum, sizeof sum);
}

/// R samples, lanes of a panel from `own` on, times those of W panels, over `count` features of d.
template <class T, int R, int W>
void add_products_of(const T* own, const T* others, index_t d, index_t count, double* sums, index_t ld) {
    constexpr index_t L = lanes<T>;
    Vec<T> sum[R][W] = {};
    for (index_t k = 0; k < count; ++k) {
        Vec<T> other[W];
        for (int w = 0; w < W; ++w) other[w] = load(others + (w * d + k) * L);
        for (int r = 0; r < R; ++r)
            for (int w = 0; w < W; ++w) sum[r][w] += own[k * L + r] * other[w];
    }
    for (int r = 0; r < R; ++r)
        for (int w = 0; w < W; ++w) {
            Reals found[parts<T>];
            in_double<T>(sum[r][w], found);
            for (int h = 0; h < parts<T>; ++h) {
                double* const at = sums + r * ld + w * L + h * lanes<double>;
                const Reals whole = load(at) + found[h];
                __builtin_memcpy(at, &whole, sizeof whole);
            }
        }
}

template <class T, int R, int W>
void add_products_of_at_most(index_t panels, const T* own, const T* others, index_t d, index_t count, double* sums,
                             index_t ld) {
    if (panels == W)
        add_products_of<T, R, W>(own, others, d, count, sums, ld);
    else if constexpr (W > 1)
        add_products_of_at_most<T, R, W - 1>(panels, own, others, d, count, sums, ld);
}

/// See Engine::add_products.
template <class T>
void add_products(const T* panels, index_t count, index_t d, index_t height, index_t from, index_t to, double* sums,
                  index_t ld) {
    constexpr index_t L = lanes<T>, most = FASTRENYI_LANE_BYTES == 64 ? 8 : 4;
    constexpr index_t R = L < most ? L : most, W = FASTRENYI_LANE_BYTES == 16 ? 8 / R : 3;  // what the registers hold
    for (index_t group = 0; group < count; group += W)
        for (index_t i = 0; i < height; i += R) {
            const index_t first = i / L < group ? group : i / L, last = group + W < count ? group + W : count;
            const T *own = panels + (i / L * d + from) * L + i % L, *others = panels + (first * d + from) * L;
            double* const at = sums + i * ld + first * L;
            add_products_of_at_most<T, R, W>(last - first, own, others, d, to - from, at, ld);
        }
}

/// See Engine::mirror.
template <class T>
void mirror(const double* sums, index_t ld, index_t height, index_t width, T* out, index_t stride) {
    constexpr index_t L = lanes<double>;
    typedef T Row __attribute__((vector_size(L * sizeof(T))));
    for (index_t j = height; j < width; j += L)
        for (index_t i = 0; i < height; i += L) {
            Reals x[L];
            for (index_t q = 0; q < L; ++q) x[q] = load(sums + (i + q) * ld + j);
            transpose<double>(x);
            for (index_t q = 0; q < L && j + q < width; ++q) {
                const Row row = __builtin_convertvector(x[q], Row);
                __builtin_memcpy(out + (j + q) * stride + i, &row, sizeof row);
            }
        }
}

/// See Engine::distances_of_products.
inline bool distances_of_products(double* row, const double* squares, double own, index_t n, double least) {
    const Reals far = splat(1e300);
    Bits all = ~Bits{};
    for (index_t j = 0; j < n; j += lanes<double>) {
        const Reals sum = own + load(squares + j), distance = sum - 2.0 * load(row + j);
        const Bits good = (distance >= least * sum) & (sum <= far);
        const Reals found = good ? distance : splat(-1.0);
        __builtin_memcpy(row + j, &found, sizeof found);
        all &= good;
    }
    for (int q = 0; q < lanes<double>; ++q)
        if (!all[q]) return false;
    return true;
}

/// The square of the distance of two samples, from their differences.
template <class T>
double squared_distance(const T* x, const T* y, index_t d) {
    using Real = typename Sums<T, Core::squared>::Real;
    Vec<Real> sum = Vec<Real>{};
    index_t k = 0;
    for (; k + lanes<Real> <= d; k += lanes<Real>) {
        const Vec<Real> difference = load(x + k) - load(y + k);
        sum += difference * difference;
    }
    double whole = total(halves_in_double(sum));
    for (; k < d; ++k) whole += (x[k] - y[k]) * (x[k] - y[k]);
    return whole;
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
