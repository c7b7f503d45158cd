// Matrices of extreme size.
#pragma once
#include <algorithm>
#include <cmath>

#include "common/view.hpp"
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

/// Divides a symmetric matrix, rows `ld` apart, by a power of two, so that squares of its elements stay in the range,
/// and returns that; one for all but extreme ones.
template <class T>
T make_safe(T* matrix, index_t n, index_t ld) {
    T largest = 0;
    for (index_t i = 0; i < n; ++i) largest = std::max(largest, engine<T>().largest(matrix + i * ld, i + 1));
    constexpr int margin = sizeof(T) == 4 ? 20 : 200;
    const int exponent = largest > T(0) ? std::ilogb(largest) : 0;
    if (std::abs(exponent) < margin) return T(1);
    const T size = std::ldexp(T(1), exponent);
    for (index_t i = 0; i < n * ld; ++i) matrix[i] /= size;
    return size;
}

}  // namespace fastrenyi::cpu
