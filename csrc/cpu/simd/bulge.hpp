// From a band to tridiagonal form: a reflection takes away what a column has below its first off-diagonal element, and
// others chase the bulge that leaves out at the end of the band.
#pragma once
#include "cpu/simd/dense.hpp"
#include "cpu/simd/engine.hpp"
#include "cpu/simd/transpose.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

static_assert(band_stride >= 2 * band_width + most_lanes);

/// A vector of band_width elements, or a column of a block: registers as far as there are so many.
template <class T>
constexpr int column_vectors = band_width / lanes<T>;

template <class T>
struct Column {
    static constexpr int V = column_vectors<T>;
    Vec<T> x[V];

    static FASTRENYI_INLINE Column of(const T* from) {
        Column c;
        __builtin_memcpy(c.x, from, sizeof c.x);
        return c;
    }
    FASTRENYI_INLINE void to(T* out) const { __builtin_memcpy(out, x, sizeof x); }
};

/// I - tau u u' that makes x (beta, 0, ...), which is written; u_1 = 1.
template <class T>
FASTRENYI_INLINE T reflection(T* x, T* u) {
    Column<T> c = Column<T>::of(x);
    const T first = x[0];
    c.x[0][0] = 0;
    Vec<T> sum = c.x[0] * c.x[0];
    for (int q = 1; q < Column<T>::V; ++q) sum += c.x[q] * c.x[q];
    const T below = sum_of_lanes<T>(sum);
    Column<T> zero{};
    T tau = 0, beta = first;
    if (below > 0) {
        const T norm = root(first * first + below);
        beta = first > 0 ? -norm : norm;
        tau = (beta - first) / beta;
        const Vec<T> scale = splat<T>(1 / (first - beta));
        for (int q = 0; q < Column<T>::V; ++q) c.x[q] *= scale;
    } else {
        c = zero;
    }
    zero.x[0][0] = beta;
    c.x[0][0] = 1;
    zero.to(x);
    c.to(u);
    return tau;
}

/// (I - tau u u') A (I - tau u u') of a symmetric block given below its diagonal. What is above it in memory, elements
/// of earlier columns that no block holds, is zero and stays so.
template <class T>
void reflect_symmetric(T* a, const T* u, T tau) {
    constexpr int L = lanes<T>, V = column_vectors<T>;
    constexpr index_t next = band_stride - 1;
    if (tau == 0) return;
    const Column<T> own = Column<T>::of(u);
    Column<T> y{};
    T rest[band_width];
    for (int q = 0; q < V; ++q)  // y += a_ij u_j below the diagonal, rest_j = a_ij u_i on and below it
        for (int p = 0; p < L; p += 4) {
            Vec<T> part[4];
            for (int s = 0; s < (L < 4 ? L : 4); ++s) {
                const int j = q * L + p + s;
                const T* const column = a + j * next;
                const Vec<T> factor = splat<T>(u[j]);
                part[s] = Vec<T>{};
                for (int i = q; i < V; ++i) {
                    const Vec<T> x = load<T>(column + i * L);
                    y.x[i] += x * factor;
                    part[s] += x * own.x[i];
                }
            }
            if constexpr (L >= 4)
                sums_of_lanes<T>(part, rest + q * L + p);
            else
                for (int s = 0; s < L; ++s) rest[q * L + p + s] = sum_of_lanes<T>(part[s]);
        }
    const Column<T> sums = Column<T>::of(rest);
    Vec<T> product = Vec<T>{};
    for (int i = 0; i < V; ++i) {
        Vec<T> diagonal;
        for (int q = 0; q < L; ++q) diagonal[q] = a[(i * L + q) * band_stride];
        y.x[i] += sums.x[i] - diagonal * own.x[i];  // which both sums have
        product += y.x[i] * own.x[i];
    }
    const T half = sum_of_lanes<T>(product) * tau / 2;
    T w[band_width];
    for (int i = 0; i < V; ++i) y.x[i] = splat<T>(tau) * (y.x[i] - splat<T>(half) * own.x[i]);
    y.to(w);
    Mask<T> place;
    for (int q = 0; q < L; ++q) place[q] = static_cast<typename LanesOf<T>::Int>(q);
    for (int q = 0; q < V; ++q)
        for (int p = 0; p < L; ++p) {
            const int j = q * L + p;
            T* const column = a + j * next;
            const Vec<T> minus_u = splat<T>(-u[j]), minus_w = splat<T>(-w[j]);
            const Vec<T> change = y.x[q] * minus_u + own.x[q] * minus_w;
            const Mask<T> below = place >= static_cast<typename LanesOf<T>::Int>(p);
            Vec<T> x = load<T>(column + q * L) + (below ? change : Vec<T>{});
            __builtin_memcpy(column + q * L, &x, sizeof x);
            for (int i = q + 1; i < V; ++i) {
                x = load<T>(column + i * L) + (y.x[i] * minus_u + own.x[i] * minus_w);
                __builtin_memcpy(column + i * L, &x, sizeof x);
            }
        }
}

/// The block below: takes (u, tau) from its right, and from the left the reflection that its first column asks for,
/// which replaces them.
template <class T>
void pass_on(T* b, T* u, T& tau) {
    constexpr int L = lanes<T>, V = column_vectors<T>;
    constexpr index_t next = band_stride - 1;
    Column<T> y{};
    if (tau != 0)
        for (int j = 0; j < band_width; ++j) {
            const Vec<T> factor = splat<T>(tau * u[j]);
            for (int i = 0; i < V; ++i) y.x[i] += load<T>(b + j * next + i * L) * factor;
        }
    Vec<T> x[V];
    for (int i = 0; i < V; ++i) {  // u_1 = 1
        x[i] = load<T>(b + i * L) - y.x[i];
        __builtin_memcpy(b + i * L, &x[i], sizeof x[i]);
    }
    T before[band_width];
    __builtin_memcpy(before, u, sizeof before);
    tau = reflection<T>(b, u);
    const Column<T> own = Column<T>::of(u);
    const Vec<T> minus_tau = splat<T>(-tau);
    for (int j = 1; j < band_width; ++j) {
        T* const column = b + j * next;
        const Vec<T> factor = splat<T>(before[j]);
        Vec<T> sum = Vec<T>{};
        for (int i = 0; i < V; ++i) {
            x[i] = load<T>(column + i * L) - y.x[i] * factor;
            sum += x[i] * own.x[i];
        }
        const Vec<T> weight = splat<T>(sum_of_lanes<T>(sum)) * minus_tau;
        for (int i = 0; i < V; ++i) {
            x[i] += weight * own.x[i];
            __builtin_memcpy(column + i * L, &x[i], sizeof x[i]);
        }
    }
}

/// See Engine::chase.
template <class T>
void chase(T* band, index_t n, index_t first, index_t from, index_t to, T* state) {
    T *const u = state, *const tau = state + sweeps * band_width;
    for (index_t step = from; step < to; ++step)
        for (index_t s = 0; s < sweeps; ++s) {
            const index_t j = first + s, k = step - sweep_lag * s, row = j + 1 + k * band_width;
            if (k < 0 || j > n - 3 || row >= n) continue;
            T* const own = u + s * band_width;
            if (k == 0)
                tau[s] = reflection<T>(band + j * band_stride + 1, own);
            else
                pass_on<T>(band + (row - band_width) * band_stride + band_width, own, tau[s]);
            reflect_symmetric<T>(band + row * band_stride, own, tau[s]);
        }
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
