// Eigenvectors of small matrices, several at once: LAPACK takes as long for its preparations as for these.
#pragma once
#include <cstdint>

#include "common/view.hpp"

namespace fastrenyi::cpu {

/// Up to this order they are quicker; measured, see benchmarks/README.md.
constexpr index_t small_order = 16;

/// As eigh() of ops/spectrum.hpp, for n <= small_order. The same bits whatever the other matrices are.
template <class T>
void small_eigenvectors(const View<T>& a, T* values, T* vectors, int threads);

}  // namespace fastrenyi::cpu
