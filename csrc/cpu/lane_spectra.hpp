// Spectra by the engine: batches cut into groups of lanes, groups shared out to threads.
#pragma once
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

/// Eigenvalues (count, n), ascending, of scale * first o second o common for each item; see simd/engine.hpp. A matrix
/// on which the engine does not converge is given to LAPACK, and so are few large ones.
template <class T>
void lane_spectra(const Lane<T>* items, std::int64_t count, std::int64_t n, const Symmetric<T>* common, T scale,
                  T* values, int threads);

}  // namespace fastrenyi::cpu
