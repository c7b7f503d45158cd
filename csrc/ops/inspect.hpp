// What the door checks in data before an operation runs: one pass, nothing stored.
#pragma once
#include "common/stream.hpp"
#include "common/view.hpp"

namespace fastrenyi {

/// The first thing that keeps a matrix from being a Gram.
struct Fault {
    enum class Kind { none, not_finite, asymmetric, trace };
    Kind kind = Kind::none;
    index_t index = -1;  ///< flat index: of the element in (b, n, n), or of the matrix for `trace`
    double value = 0.0;  ///< the element, or the trace
};

namespace cpu {

/// Flat index in (b, n, d) of the first NaN or infinity, or -1.
template <class T>
index_t first_not_finite(const View<T>& x, int threads);

/// Flat index in (b, n) of the first row whose elements are all zero, or -1.
template <class T>
index_t first_zero_row(const View<T>& x, int threads);

/// The first fault in the order of the batch: an element that is not finite, a pair |a_ij - a_ji| above
/// tolerance times the largest element, or, if asked for, a trace farther than tolerance from one.
template <class T>
Fault gram_fault(const View<T>& a, double tolerance, bool trace_one, int threads);

}  // namespace cpu

/// On the device nobody waits for the answer: what is wrong goes to `status` (stream.hpp), as of the first matrix.
namespace cuda {

template <class T>
void not_finite(const View<T>& x, Status* status, Stream stream);

/// A row of zeros has no direction: reported as Finding::not_finite, as the Gram would be.
template <class T>
void zero_rows(const View<T>& x, Status* status, Stream stream);

template <class T>
void gram_fault(const View<T>& a, double tolerance, bool trace_one, Status* status, Stream stream);

}  // namespace cuda
}  // namespace fastrenyi
