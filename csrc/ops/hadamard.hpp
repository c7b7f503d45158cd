// The Gram of a joint variable: the entrywise product of Grams, divided by its trace.
//
//   factors  one view (b, n, n) per variable, any strides (zero to broadcast), symmetric
//   out      (b, n, n), dense, owned by the caller, every element written
//
// Products run in double. Each factor is rescaled so that the largest diagonal entry of the running product is one:
// a positive semidefinite product is bounded by its diagonal, so that any number of factors stays in range.
// A product whose trace is zero has no joint Gram: the verdict says which, and that matrix is all zero.
#pragma once
#include <vector>

#include "common/error.hpp"
#include "common/view.hpp"

namespace fastrenyi::cpu {

/// Workspace: per thread 3 n + (number of factors) doubles.
template <class T>
Verdict hadamard(const std::vector<View<T>>& factors, T* out, int threads);

}  // namespace fastrenyi::cpu
