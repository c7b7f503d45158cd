// Eigenvalues and eigenvectors of small matrices by Jacobi's rotations: a lane is a matrix.
#pragma once
#include "cpu/simd/engine.hpp"
#include "cpu/simd/lanes.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

/// A rotation of rows i and j, by which x_i loses s x_j to it, for elements of both.
template <class T>
FASTRENYI_INLINE void rotate(Vec<T>& x, Vec<T>& y, Vec<T> c, Vec<T> s) {
    const Vec<T> before = x;
    x = c * x - s * y;
    y = s * before + c * y;
}

template <class T>
bool any(Mask<T> mask) {
    typename LanesOf<T>::Int found = 0;
    for (int q = 0; q < lanes<T>; ++q) found |= mask[q];
    return found != 0;
}

/// Makes element (i, j), i < j, of each lane's matrix zero where it is above `least`; false if it is nowhere.
template <class T>
FASTRENYI_INLINE bool annihilate(Vec<T>* a, Vec<T>* rows, index_t n, index_t i, index_t j, Vec<T> least) {
    using V = Vec<T>;
    const V off = a[i * n + j];
    const Mask<T> wanted = magnitude(off) > least;
    if (!any<T>(wanted)) return false;
    const V one = splat<T>(1), zero = V{};
    const V theta = (a[j * n + j] - a[i * n + i]) / (T(2) * (wanted ? off : one));
    const V size = one / (magnitude(theta) + root_of<T>(theta * theta + one));
    const V tangent = wanted ? (theta < zero ? -size : size) : zero;
    const V c = one / root_of<T>(tangent * tangent + one), s = tangent * c;
    a[i * n + i] -= tangent * off;
    a[j * n + j] += tangent * off;
    a[i * n + j] = wanted ? zero : off;
    for (index_t k = 0; k < i; ++k) rotate<T>(a[k * n + i], a[k * n + j], c, s);
    for (index_t k = i + 1; k < j; ++k) rotate<T>(a[i * n + k], a[k * n + j], c, s);
    for (index_t k = j + 1; k < n; ++k) rotate<T>(a[i * n + k], a[j * n + k], c, s);
    for (index_t k = 0; k < n; ++k) rotate<T>(rows[i * n + k], rows[j * n + k], c, s);
    return true;
}

/// See Engine::rotate_to_diagonal.
template <class T>
bool rotate_to_diagonal(T* elements, index_t n, T* vectors) {
    using V = Vec<T>;
    V *const a = reinterpret_cast<V*>(elements), *const rows = reinterpret_cast<V*>(vectors);
    V largest = V{};
    for (index_t i = 0; i < n; ++i)
        for (index_t j = 0; j < n; ++j) {
            rows[i * n + j] = splat<T>(i == j ? 1 : 0);
            if (i <= j) largest = larger(largest, magnitude(a[i * n + j]));
        }
    const V least = largest * (LanesOf<T>::epsilon / 4);
    constexpr int most_sweeps = 50;  // six or seven do
    for (int sweep = 0; sweep < most_sweeps; ++sweep) {
        bool rotated = false;
        for (index_t i = 0; i < n; ++i)
            for (index_t j = i + 1; j < n; ++j) rotated |= annihilate<T>(a, rows, n, i, j, least);
        if (!rotated) return true;
    }
    return false;
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
