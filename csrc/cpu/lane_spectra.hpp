// Spectra by the engine: batches cut into groups of lanes, groups shared out to threads.
#pragma once
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

/// Eigenvalues, ascending, those of an item `ld` after the last one's, of the selected rows and columns of
/// scale * first o second o common; see simd/engine.hpp. A matrix on which the engine does not converge is given to
/// LAPACK, and so are few large ones.
template <class T>
void lane_spectra(const Lane<T>* items, std::int64_t count, Selection selection, const Symmetric<T>* common, T scale,
                  T* values, std::int64_t ld, int threads);

}  // namespace fastrenyi::cpu
