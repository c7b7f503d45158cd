// Floating-point numbers by their bits, the same on the device and on the host.
#pragma once
#include <cmath>
#include <cstring>

#include "cuda/launch.hpp"

#ifdef __CUDACC__
#define FASTRENYI_UNROLL _Pragma("unroll")
#define FASTRENYI_UNROLL_4 _Pragma("unroll 4")
#else
#define FASTRENYI_UNROLL
#define FASTRENYI_UNROLL_4
#endif

namespace fastrenyi::cuda {

template <class T>
struct Real;
template <>
struct Real<double> {
    using Bits = unsigned long long;
    static constexpr int mantissa_bits = 52, bias = 1023;
    static constexpr double epsilon = 0x1p-52;
    static constexpr double nothing = 0x1p-900;              // next to the square of `low`
    static constexpr double low = 0x1p-200, high = 0x1p100;  // magnitudes whose squares are safe, and times 1 / nothing
};
template <>
struct Real<float> {
    using Bits = unsigned;
    static constexpr int mantissa_bits = 23, bias = 127;
    static constexpr float epsilon = 0x1p-23f;
    static constexpr float nothing = 0x1p-100f;
    static constexpr float low = 0x1p-20f, high = 0x1p10f;
};

template <class T>
FASTRENYI_DEVICE typename Real<T>::Bits bits_of(T x) {
    typename Real<T>::Bits bits;
    std::memcpy(&bits, &x, sizeof x);
    return bits;
}

/// floor(log2 |x|) of a normal number; below those of zero and subnormal ones, above those of infinity and NaN.
template <class T>
FASTRENYI_DEVICE int exponent_of(T x) {
    using R = Real<T>;
    return static_cast<int>(bits_of(x) >> R::mantissa_bits & (2 * R::bias + 1)) - R::bias;
}

/// 2^exponent, or the nearest power of two that is a normal number.
template <class T>
FASTRENYI_DEVICE T power_of_two(int exponent) {
    using R = Real<T>;
    exponent = exponent < 1 - R::bias ? 1 - R::bias : exponent > R::bias ? R::bias : exponent;
    const auto bits = static_cast<typename R::Bits>(exponent + R::bias) << R::mantissa_bits;
    T x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

/// 1 / x of a normal x of magnitude up to 2^1022, to a unit in the last place or so. No branch, unlike the division,
/// so that what comes before and after it can be done meanwhile.
FASTRENYI_DEVICE double inverse(double x) {
#ifdef __CUDA_ARCH__
    double y;
    asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(y) : "d"(x));
    const double e = fma(-x, y, 1.0);  // 2^-20 or less, so that what is left out, e^3, is rounding
    return fma(fma(e, e, e), y, y);
#else
    return 1.0 / x;
#endif
}
FASTRENYI_DEVICE float inverse(float x) {
    return 1.0f / x;
}

/// sqrt(x) to a unit in the last place or so, without a branch as well; zero below 2^-1000, where the device's
/// approximation comes to an end.
FASTRENYI_DEVICE double root(double x) {
    constexpr double least = 0x1p-1000;
#ifdef __CUDA_ARCH__
    double y;
    asm("rsqrt.approx.ftz.f64 %0, %1;" : "=d"(y) : "d"(x));
    y = fma(fma(-x * y, y, 1.0), 0.5 * y, y);  // twice the digits of 2^-20, and twice again below
    const double r = x * y;
    const double found = fma(fma(-r, r, x), 0.5 * y, r);
#else
    const double found = std::sqrt(x);
#endif
    return x < least ? 0.0 : found;  // NaN stays
}
FASTRENYI_DEVICE float root(float x) {
    return std::sqrt(x);
}

/// Puts the sign of x at the end of a row of signs.
FASTRENYI_DEVICE unsigned with_sign(unsigned signs, double x) {
#ifdef __CUDA_ARCH__
    return __funnelshift_l(static_cast<unsigned>(__double2hiint(x)), signs, 1);
#else
    return signs << 1 | (std::signbit(x) ? 1u : 0u);
#endif
}
FASTRENYI_DEVICE unsigned with_sign(unsigned signs, float x) {
#ifdef __CUDA_ARCH__
    return __funnelshift_l(__float_as_uint(x), signs, 1);
#else
    return signs << 1 | (std::signbit(x) ? 1u : 0u);
#endif
}
FASTRENYI_DEVICE int count_of_bits(unsigned x) {
#ifdef __CUDA_ARCH__
    return __popc(x);
#else
    return __builtin_popcount(x);
#endif
}

template <class T>
FASTRENYI_DEVICE T magnitude(T x) {
    return x < T(0) ? -x : x;
}

}  // namespace fastrenyi::cuda
