// Work on a CUDA device: in which queue it stands, and how a kernel says what it found wrong.
#pragma once
#include "common/view.hpp"

struct CUstream_st;

namespace fastrenyi {

/// A cudaStream_t, named without CUDA's headers. Null is the default stream.
using Stream = CUstream_st*;

/// What can be wrong with a matrix. A kernel keeps the smallest matrix * 4 + finding in one word of device memory
/// that the caller has set to all ones; nobody waits for it until the caller reads that word.
enum class Finding : unsigned {
    not_finite = 0,  ///< NaN or infinity; of rows of samples: a row of zeros
    asymmetric = 1,
    trace = 2,       ///< not one; of an entrywise product: zero
    indefinite = 3,  ///< an eigenvalue below -max(n, 8) eps lambda_max
};
using Status = unsigned long long;

constexpr Status status_word(index_t matrix, Finding finding) {
    return static_cast<Status>(matrix) * 4 + static_cast<Status>(finding);
}

}  // namespace fastrenyi
