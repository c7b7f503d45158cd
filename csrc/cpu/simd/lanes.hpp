// A lane is a matrix: vectors of FASTRENYI_LANE_BYTES hold the same element of several matrices.
//
// What includes this file is compiled once per instruction set, in a namespace of its own, and calls nothing that is
// compiled elsewhere, not even the inline functions of the standard library: the linker keeps one copy of those, and it
// could be the one for a processor that this machine is not.
#pragma once
#include <cstdint>

#define FASTRENYI_INLINE inline __attribute__((always_inline))

namespace fastrenyi::cpu::FASTRENYI_ISA {

using index_t = std::int64_t;

template <class T>
struct LanesOf;
template <>
struct LanesOf<double> {
    using Int = std::int64_t;
    static constexpr double epsilon = 0x1p-52, smallest = 0x1p-1022, infinity = __builtin_inf();
    static constexpr double low = 0x1p-200, high = 0x1p200;  // magnitudes whose squares are safe
    static constexpr double tiny = 0x1p-106;  // far below rounding next to one, its fourth power still normal
};
template <>
struct LanesOf<float> {
    using Int = std::int32_t;
    static constexpr float epsilon = 0x1p-23f, smallest = 0x1p-126f, infinity = __builtin_inff();
    static constexpr float low = 0x1p-20f, high = 0x1p20f;
    static constexpr float tiny = 0x1p-30f;
};

template <class T>
constexpr int lanes = FASTRENYI_LANE_BYTES / sizeof(T);

template <class T>
using Vec __attribute__((vector_size(FASTRENYI_LANE_BYTES))) = T;

template <class T>
using Mask __attribute__((vector_size(FASTRENYI_LANE_BYTES))) = typename LanesOf<T>::Int;

/// A constant as a type, for generic lambdas.
template <bool x>
struct Constant {
    static constexpr bool value = x;
};

template <class T>
FASTRENYI_INLINE Vec<T> splat(T x) {
    return Vec<T>{} + x;
}

FASTRENYI_INLINE double root(double x) {
    return __builtin_sqrt(x);
}
FASTRENYI_INLINE float root(float x) {
    return __builtin_sqrtf(x);
}

template <class T>
FASTRENYI_INLINE Vec<T> root_of(Vec<T> x) {
    Vec<T> result;
    for (int q = 0; q < lanes<T>; ++q) result[q] = root(x[q]);
    return result;
}

#ifdef __clang__  // which wants the indices as constants in the call; GCC has that call only since 12
template <class T, T... q>
struct Counted {
    template <int size, int shift, class V>
    static FASTRENYI_INLINE V blocks(V x, V y) {
        return __builtin_shufflevector(x, y, ((q & size ? sizeof...(q) + q - size : q) + shift)...);
    }
};
#endif

/// Of each two blocks of `size` lanes the first of x, beside it the first of y; with shift = size, the second ones.
template <int size, int shift, class T>
FASTRENYI_INLINE Vec<T> blocks_of(Vec<T> x, Vec<T> y) {
#ifdef __clang__
    return __make_integer_seq<Counted, int, lanes<T>>::template blocks<size, shift, Vec<T>>(x, y);
#else
    using Int = typename LanesOf<T>::Int;
    Mask<T> from;  // below `lanes` from x, else from y
    for (int q = 0; q < lanes<T>; ++q) from[q] = static_cast<Int>((q & size ? lanes<T> + q - size : q) + shift);
    return __builtin_shuffle(x, y, from);
#endif
}

/// Lanes q and q + size of each two blocks of that size: the sum of both in x where x has q, in y where y has q + size.
template <int size, class T>
FASTRENYI_INLINE Vec<T> crosswise_sum(Vec<T> x, Vec<T> y) {
    return blocks_of<size, 0, T>(x, y) + blocks_of<size, size, T>(x, y);
}

using Reals = Vec<double>;

template <class T>
constexpr int parts = sizeof(double) / sizeof(T);

/// The lanes as doubles: of doubles one vector, of floats two.
template <class T>
FASTRENYI_INLINE void in_double(Vec<T> x, Reals* out) {
    typedef T Part __attribute__((vector_size(FASTRENYI_LANE_BYTES / parts<T>)));
    Part part[parts<T>];
    __builtin_memcpy(part, &x, sizeof x);
    for (int h = 0; h < parts<T>; ++h) out[h] = __builtin_convertvector(part[h], Reals);
}

/// The sums over lanes of four vectors, which pairwise sums find at little more than the price of one.
template <class T>
FASTRENYI_INLINE void sums_of_lanes(const Vec<T>* x, T* sums) {
    if constexpr (lanes<T> >= 4) {
        Vec<T> all = crosswise_sum<2, T>(crosswise_sum<1, T>(x[0], x[1]), crosswise_sum<1, T>(x[2], x[3]));
        if constexpr (lanes<T> >= 8) all = crosswise_sum<4, T>(all, all);
        if constexpr (lanes<T> >= 16) all = crosswise_sum<8, T>(all, all);
        for (int c = 0; c < 4; ++c) sums[c] = all[c];
    } else {
        for (int c = 0; c < 4; ++c) sums[c] = x[c][0] + x[c][1];
    }
}

template <class V>
FASTRENYI_INLINE V magnitude(V x) {
    return x < V{} ? -x : x;
}

template <class V>
FASTRENYI_INLINE V larger(V x, V y) {
    return x > y ? x : y;
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
