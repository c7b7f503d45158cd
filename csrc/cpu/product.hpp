// The entrywise product of the Grams of a joint variable, of one matrix per variable, row by row.
#pragma once
#include <algorithm>
#include <vector>

#include "common/view.hpp"
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

/// Each factor is divided by a scale of its own, so that the largest diagonal entry of the running product is one: a
/// positive semidefinite product is bounded by its diagonal, and any number of factors stays in range.
template <class T>
class Product {
  public:
    Product(const View<T>* factors, index_t count, index_t n) : factors_(factors), count_(count), n_(n) {
        std::vector<double> diagonal(static_cast<std::size_t>(n), 1.0);
        scales_.reserve(static_cast<std::size_t>(count));
        for (index_t c = 0; c < count; ++c) {
            double largest = 0.0;
            for (index_t i = 0; i < n; ++i) largest = std::max(largest, diagonal[i] *= factors[c].at(i, i));
            if (!(largest > 0.0)) return;
            scales_.push_back(largest);
            for (double& entry : diagonal) entry /= largest;
        }
        for (const double entry : diagonal) trace_ += entry;
    }

    /// Of the scaled product; zero if the variables have no joint Gram.
    double trace() const { return trace_; }

    /// Row i of factor c, of contiguous elements; null if they are not.
    const T* contiguous(index_t c, index_t i) const {
        return factors_[c].col_stride == 1 ? factors_[c].row(i) : nullptr;
    }

    /// row_j *= the scaled factor c at (i, j).
    void multiply(index_t c, index_t i, double* row) const {
        const double scale = 1.0 / scales_[static_cast<std::size_t>(c)];
        if (const T* entries = contiguous(c, i)) return engine<T>().multiply_row(row, entries, scale, n_);
        for (index_t j = 0; j < n_; ++j) row[j] *= scale * factors_[c].at(i, j);
    }

    /// Row i of `start` times the scaled product.
    void row(index_t i, double start, double* out) const {
        const double first = start / scales_[0];
        if (const T* entries = contiguous(0, i))
            engine<T>().scale_row(out, entries, first, n_);
        else
            for (index_t j = 0; j < n_; ++j) out[j] = first * factors_[0].at(i, j);
        for (index_t c = 1; c < count_; ++c) multiply(c, i, out);
    }

    double scale(index_t c) const { return scales_[static_cast<std::size_t>(c)]; }

  private:
    const View<T>* factors_;
    index_t count_, n_;
    std::vector<double> scales_;
    double trace_ = 0.0;
};

/// Writes the trace-one product of the factors (each one matrix) to the dense n x n `out`; false if its trace is zero.
/// `out` may be one of the factors.
template <class T>
bool joint_gram(const View<T>* factors, index_t count, index_t n, T* out) {
    const Product<T> product(factors, count, n);
    if (product.trace() == 0.0) {
        std::fill(out, out + n * n, T(0));
        return false;
    }
    std::vector<double> row(static_cast<std::size_t>(n));
    for (index_t i = 0; i < n; ++i) {
        product.row(i, 1.0 / product.trace(), row.data());
        for (index_t j = 0; j < n; ++j) out[i * n + j] = static_cast<T>(row[j]);
    }
    return true;
}

}  // namespace fastrenyi::cpu
