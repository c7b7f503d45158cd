// Floating-point numbers by their bits, the same on the device and on the host.
#pragma once
#include <cmath>
#include <cstring>

#include "cuda/launch.hpp"

#ifdef __CUDACC__
#define FASTRENYI_UNROLL _Pragma("unroll")
#else
#define FASTRENYI_UNROLL
#endif

namespace fastrenyi::cuda {

template <class T>
struct Real;
template <>
struct Real<double> {
    using Bits = unsigned long long;
    static constexpr int mantissa_bits = 52, bias = 1023;
    static constexpr double smallest = 0x1p-1022, epsilon = 0x1p-52;
    static constexpr double low = 0x1p-200, high = 0x1p200;  // magnitudes whose squares are safe
    static constexpr double tiny = 0x1p-106;  // far below rounding next to one, its fourth power still normal
};
template <>
struct Real<float> {
    using Bits = unsigned;
    static constexpr int mantissa_bits = 23, bias = 127;
    static constexpr float smallest = 0x1p-126f, epsilon = 0x1p-23f;
    static constexpr float low = 0x1p-20f, high = 0x1p20f;
    static constexpr float tiny = 0x1p-30f;
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

/// 1 / sqrt(x) for x > 0, to a few units in the last place.
template <class T>
FASTRENYI_DEVICE T inverse_root(T x) {
#ifdef __CUDA_ARCH__
    return rsqrt(x);
#else
    return T(1) / std::sqrt(x);
#endif
}

template <class T>
FASTRENYI_DEVICE T magnitude(T x) {
    return x < T(0) ? -x : x;
}

}  // namespace fastrenyi::cuda
