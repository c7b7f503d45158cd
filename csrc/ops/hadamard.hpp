// The Gram of a joint variable: the entrywise product of Grams, divided by its trace.
//
//   factors  one view (b, n, n) per variable, any strides (zero to broadcast), symmetric
//   out      (b, n, n), dense, owned by the caller, every element written
//
// Products run in double. Each factor is rescaled so that the largest diagonal entry of the running product is one:
// a positive semidefinite product is bounded by its diagonal, so that any number of factors stays in range.
// A product whose trace is zero has no joint Gram: the verdict says which, and that matrix is all zero.
#pragma once
#include <cstddef>
#include <vector>

#include "common/error.hpp"
#include "common/stream.hpp"
#include "common/view.hpp"

namespace fastrenyi {
namespace cpu {

/// Workspace: per thread 3 n + (number of factors) doubles.
template <class T>
Verdict hadamard(const std::vector<View<T>>& factors, T* out, int threads);

}  // namespace cpu

namespace cuda {

/// Bytes of device memory that hadamard() needs, aligned to 16.
std::size_t hadamard_workspace(index_t count, index_t batch, index_t n);

/// A product of trace zero is reported to `status` as Finding::trace.
template <class T>
void hadamard(const std::vector<View<T>>& factors, T* out, void* workspace, Status* status, Stream stream);

}  // namespace cuda
}  // namespace fastrenyi
