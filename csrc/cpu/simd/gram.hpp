// Sums over features of what two samples have between them, and exponentials of such sums. Lanes are features here.
#pragma once
#include "cpu/simd/power.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

/// What the sums of a tile run in: double, but for squared differences of floats, which are of one sign and of data in
/// range: those run in float over one block of features.
template <class T, Core core>
struct Sums {
    using Real = double;
};
template <>
struct Sums<float, Core::squared> {
    using Real = float;
};

template <Core core, class V>
FASTRENYI_INLINE V between(V x, V y, V scale) {
    if (core == Core::product) return x * y;
    V difference = x - y;
    if (core != Core::squared) difference *= scale;
    if (core == Core::far_squared || core == Core::far_absolute) difference *= scale;
    return core == Core::absolute || core == Core::far_absolute ? magnitude(difference) : difference * difference;
}

/// `count` features as numbers of type R, zeros after them: two samples that both end in zeros have nothing there.
template <class T, class R, bool whole>
FASTRENYI_INLINE Vec<R> features_at(const T* x, index_t count) {
    typedef T Source __attribute__((vector_size(lanes<R> * sizeof(T))));
    Source values = Source{};
    if (whole)
        __builtin_memcpy(&values, x, sizeof values);
    else
        for (index_t q = 0; q < count; ++q) values[q] = x[q];
    return __builtin_convertvector(values, Vec<R>);
}

FASTRENYI_INLINE Reals halves_in_double(Vec<double> x) {
    return x;
}
FASTRENYI_INLINE Reals halves_in_double(Vec<float> x) {
    typedef float Half __attribute__((vector_size(FASTRENYI_LANE_BYTES / 2)));
    Half half[2];
    __builtin_memcpy(half, &x, sizeof x);
    return __builtin_convertvector(half[0], Reals) + __builtin_convertvector(half[1], Reals);
}

/// R rows at x against 4 at y; a row of the tile of sums is ld long.
template <class T, Core core, int R>
void add_tile(const T* const* x, const T* const* y, index_t d, double scale, double* sums, index_t ld) {
    using Real = typename Sums<T, core>::Real;
    using V = Vec<Real>;
    const V factor = splat(static_cast<Real>(scale));
    V sum[R][4] = {};
    const auto step = [&](auto whole, index_t k) __attribute__((always_inline)) {
        V other[4];
        for (int c = 0; c < 4; ++c) other[c] = features_at<T, Real, decltype(whole)::value>(y[c] + k, d - k);
        for (int r = 0; r < R; ++r) {
            const V own = features_at<T, Real, decltype(whole)::value>(x[r] + k, d - k);
            for (int c = 0; c < 4; ++c) sum[r][c] += between<core>(own, other[c], factor);
        }
    };
    index_t k = 0;
    for (; k + lanes<Real> <= d; k += lanes<Real>) step(Constant<true>{}, k);
    if (k < d) step(Constant<false>{}, k);
    for (int r = 0; r < R; ++r) {
        Reals parts[4];
        for (int c = 0; c < 4; ++c) parts[c] = halves_in_double(sum[r][c]);
        double totals[4];
        sums_of_lanes<double>(parts, totals);
        for (int c = 0; c < 4; ++c) sums[r * ld + c] += totals[c];
    }
}

/// See Engine::add_block. Sums left of the diagonal are not complete.
template <class T, Core core>
void add_block_of(const T* rows, index_t stride, index_t height, index_t width, index_t d, double scale, double* sums,
                  index_t ld) {
    constexpr int R = FASTRENYI_LANE_BYTES == 64 ? 4 : 2;  // what the registers hold
    for (index_t j = 0; j < width; j += 4) {
        const T* y[4];
        for (index_t c = 0; c < 4; ++c) y[c] = rows + (j + c < width ? j + c : width - 1) * stride;
        for (index_t i = 0; i < height && i < j + 4; i += R) {
            const T* x[R];
            for (index_t r = 0; r < R; ++r) x[r] = rows + (i + r < height ? i + r : height - 1) * stride;
            add_tile<T, core, R>(x, y, d, scale, sums + i * ld + j, ld);
        }
    }
}

template <class T>
void add_block(Core core, const T* rows, index_t stride, index_t height, index_t width, index_t d, double scale,
               double* sums, index_t ld) {
    switch (core) {
        case Core::squared:
            return add_block_of<T, Core::squared>(rows, stride, height, width, d, scale, sums, ld);
        case Core::scaled_squared:
            return add_block_of<T, Core::scaled_squared>(rows, stride, height, width, d, scale, sums, ld);
        case Core::absolute:
            return add_block_of<T, Core::absolute>(rows, stride, height, width, d, scale, sums, ld);
        case Core::far_squared:
            return add_block_of<T, Core::far_squared>(rows, stride, height, width, d, scale, sums, ld);
        case Core::far_absolute:
            return add_block_of<T, Core::far_absolute>(rows, stride, height, width, d, scale, sums, ld);
        case Core::product:
            return add_block_of<T, Core::product>(rows, stride, height, width, d, scale, sums, ld);
    }
}

/// x_i = weight exp(exponent x_i), for exponent x_i <= 0; what would be below the normal numbers is zero.
inline void exponentials(double* x, index_t n, double exponent, double weight) {
    const auto of = [&](Reals sum) __attribute__((always_inline)) {
        const Reals t = exponent * sum;
        const Exponential e = exponential(clamped(t));
        return t < splat(-708.0) ? Reals{} : weight * (e.power + e.power * e.rest);
    };
    index_t i = 0;
    for (; i + lanes<double> <= n; i += lanes<double>) {
        const Reals result = of(features_at<double, double, true>(x + i, lanes<double>));
        __builtin_memcpy(x + i, &result, sizeof result);
    }
    if (i == n) return;
    const Reals result = of(features_at<double, double, false>(x + i, n - i));
    for (int q = 0; i + q < n; ++q) x[i + q] = result[q];
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
