// Spectra of few matrices: each is reduced by itself, a lane a column, and their tridiagonal forms are solved together.
#pragma once
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

/// Writes scale * first o second o common to a matrix of order n, rows `ld` apart.
template <class T>
void fill(const Lane<T>& item, std::int64_t n, const Symmetric<T>* common, T scale, T* matrix, std::int64_t ld);

/// As `batched_spectra`, and, unless it is null, `reduced` as ops/slope.hpp has it. Of each matrix only the leading
/// block of an order, descending from one to the next, unless `orders` is null; the other eigenvalues are zeros.
template <class T>
void dense_spectra(const Lane<T>* items, const std::int64_t* orders, std::int64_t count, std::int64_t n,
                   const Symmetric<T>* common, T scale, T* values, std::int64_t ld, T* reduced, int threads);

/// Puts the eigenvalues of a leading block of an order where those of the whole matrix belong: with zeros for the other
/// rows. Solved with some of those, as one of order `size`, it has as many too many, to rounding zeros as well.
template <class T>
void with_zeros(const T* block, std::int64_t size, std::int64_t order, std::int64_t n, T* values);

}  // namespace fastrenyi::cpu
