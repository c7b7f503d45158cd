// What an operation can find wrong with numbers that looked right at the door.
#pragma once
#include <stdexcept>

#include "common/view.hpp"

namespace fastrenyi {

/// The first matrix of a batch that has no entropy, and why. Kernels report it; Python words the message.
struct Verdict {
    enum class Kind {
        fine,
        indefinite,  ///< an eigenvalue below -max(n, 8) eps lambda_max; `value` is the lowest
        zero_trace,  ///< an entrywise product whose trace is zero
    };
    Kind kind = Kind::fine;
    index_t index = -1;
    double value = 0.0;

    /// The earlier of two verdicts, so that the answer does not depend on the order of the threads.
    void keep_first(const Verdict& other) {
        if (other.kind != Kind::fine && (kind == Kind::fine || other.index < index)) *this = other;
    }
};

/// LAPACK gave up on a matrix.
struct LapackError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace fastrenyi
