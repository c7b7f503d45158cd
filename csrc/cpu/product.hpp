// The joint Gram of one matrix per variable: what hadamard() does to each matrix and pairs() to each pair.
#pragma once
#include <algorithm>
#include <vector>

#include "common/view.hpp"

namespace fastrenyi::cpu {

/// Writes the trace-one product of the factors (each one matrix) to the dense n x n `out`; false if its trace is zero.
/// `out` may be one of the factors.
template <class T>
bool joint_gram(const View<T>* factors, index_t count, index_t n, T* out) {
    std::vector<double> scale(static_cast<std::size_t>(count)), diagonal(static_cast<std::size_t>(n), 1.0);
    for (index_t c = 0; c < count; ++c) {
        double largest = 0.0;
        for (index_t i = 0; i < n; ++i) largest = std::max(largest, diagonal[i] *= factors[c].at(i, i));
        if (!(largest > 0.0)) {
            std::fill(out, out + n * n, T(0));
            return false;
        }
        scale[c] = 1.0 / largest;
        for (double& entry : diagonal) entry *= scale[c];
    }
    double trace = 0.0;
    for (const double entry : diagonal) trace += entry;

    std::vector<double> row(static_cast<std::size_t>(n));
    for (index_t i = 0; i < n; ++i) {
        std::fill(row.begin(), row.end(), 1.0 / trace);
        for (index_t c = 0; c < count; ++c) {
            const T* entries = factors[c].row(i);
            const index_t stride = factors[c].col_stride;
            const double s = scale[c];
            if (stride == 1)
                for (index_t j = 0; j < n; ++j) row[j] *= s * entries[j];
            else
                for (index_t j = 0; j < n; ++j) row[j] *= s * entries[j * stride];
        }
        for (index_t j = 0; j < n; ++j) out[i * n + j] = static_cast<T>(row[j]);
    }
    return true;
}

}  // namespace fastrenyi::cpu
