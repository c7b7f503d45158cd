// Sums of powers of probabilities, a vector of them at a time, in double.
#pragma once
#include "cpu/simd/lanes.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

using Bits = Mask<double>;

/// ln x for normal x > 0, to about an ulp: x = 2^k m with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1)).
FASTRENYI_INLINE Reals natural_log(Reals x) {
    const Bits half_root = (Bits)splat(0x1.6a09e667f3bcdp-1), bits = (Bits)x - half_root;
    const Bits exponent = bits >> 52;
    const Reals m = (Reals)((bits & (((Bits{} + 1) << 52) - 1)) + half_root);
    Reals k;
    for (int q = 0; q < lanes<double>; ++q) k[q] = static_cast<double>(exponent[q]);
    const Reals s = (m - 1.0) / (m + 1.0), z = s * s;
    Reals series = splat(1.0 / 23);
    for (int odd = 21; odd >= 3; odd -= 2) series = series * z + 1.0 / odd;
    // ln 2 in two parts, the first exact times any exponent
    return k * 0x1.62e42fefa38p-1 + (2.0 * s + (2.0 * s * z * series + k * 0x1.ef35793c7673p-45));
}

/// e^t = power (1 + rest) for t in [-708, 708]: t = k ln 2 + r, power = 2^k, rest = e^r - 1.
struct Exponential {
    Reals power, rest;
};

FASTRENYI_INLINE Exponential exponential(Reals t) {
    const double shifter = 0x1.8p52;  // adding it rounds to an integer, which then stands in the low bits
    const Reals rounded = t * 0x1.71547652b82fep0 + shifter, k = rounded - shifter;
    const Reals r = (t - k * 0x1.62e42fefa38p-1) - k * 0x1.ef35793c7673p-45;
    Reals series = splat(1.0 / 6227020800.0);  // 1/13!
    double factorial = 6227020800.0;
    for (int degree = 12; degree >= 2; --degree) {
        factorial /= degree + 1;
        series = series * r + 1.0 / factorial;
    }
    const Reals power = (Reals)(((Bits)rounded - (Bits)splat(shifter) + 1023) << 52);
    return {power, r + r * r * series};
}

/// e^t - 1, accurate also near zero.
FASTRENYI_INLINE Reals exponential_less_one(Reals t) {
    const Exponential e = exponential(t);
    return e.power * e.rest + (e.power - 1.0);
}

/// Elements i to i + lanes of p (n), ones where the array has ended or an element is below the normal numbers.
FASTRENYI_INLINE Reals some_of(const double* p, index_t n, index_t i) {
    Reals x = splat(1.0);
    for (int q = 0; q < lanes<double>; ++q)
        if (i + q < n) x[q] = p[i + q];
    return x < splat(0x1p-1022) ? splat(1.0) : x;
}

FASTRENYI_INLINE double total(Reals x) {
    double sum = 0.0;
    for (int q = 0; q < lanes<double>; ++q) sum += x[q];
    return sum;
}

FASTRENYI_INLINE Reals clamped(Reals t) {
    t = t < splat(-708.0) ? splat(-708.0) : t;
    return t > splat(708.0) ? splat(708.0) : t;
}

/// sum p_i ln p_i; zeros count nothing.
inline double sum_p_log_p(const double* p, index_t n) {
    Reals sum = Reals{};
    for (index_t i = 0; i < n; i += lanes<double>) {
        const Reals x = some_of(p, n, i);
        sum += x * natural_log(x);
    }
    return total(sum);
}

/// sum p_i (p_i^beta - 1), which loses nothing as beta nears zero; zeros count nothing.
inline double sum_power_excess(const double* p, index_t n, double beta) {
    Reals sum = Reals{};
    for (index_t i = 0; i < n; i += lanes<double>) {
        const Reals x = some_of(p, n, i);
        sum += x * exponential_less_one(clamped(beta * natural_log(x)));
    }
    return total(sum);
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
