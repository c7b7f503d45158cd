// Spectra of few matrices: each is reduced by itself, a lane a column, and their tridiagonal forms are solved together.
#pragma once
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

/// Writes scale * first o second o common to a matrix of order n, rows `ld` apart.
template <class T>
void fill(const Lane<T>& item, std::int64_t n, const Symmetric<T>* common, T scale, T* matrix, std::int64_t ld);

/// As `batched_spectra`, and, unless it is null, `reduced` as ops/slope.hpp has it.
template <class T>
void dense_spectra(const Lane<T>* items, std::int64_t count, std::int64_t n, const Symmetric<T>* common, T scale,
                   T* values, std::int64_t ld, T* reduced, int threads);

}  // namespace fastrenyi::cpu
