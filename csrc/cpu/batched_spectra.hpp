// Spectra by the engine: batches cut into groups of lanes, groups shared out to threads.
#pragma once
#include <vector>

#include "common/parallel.hpp"
#include "common/view.hpp"
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

/// The selected rows and columns of each matrix of a batch, all of them if `rows` is null, as the engine reads them:
/// in place if the rows are contiguous there, or else copied.
template <class T>
class Readable {
  public:
    explicit Readable(const View<T>& a, const std::vector<index_t>* rows = nullptr) : view_(a) {
        if (!rows && a.col_stride == 1) return;
        const auto n = rows ? static_cast<index_t>(rows->size()) : a.rows;
        const auto source = [&](index_t i) { return rows ? (*rows)[static_cast<std::size_t>(i)] : i; };
        copy_.reserve(static_cast<std::size_t>(a.batch * n * n));
        serial_for(a.batch * n, [&](index_t row) {
            const View<T> matrix = a.matrix(row / n);
            const index_t i = source(row % n);
            for (index_t j = 0; j < n; ++j) copy_.push_back(matrix.at(i, source(j)));
        });
        view_ = dense_square<T>(copy_.data(), a.batch, n);
    }
    Readable(Readable&&) = default;  // a moved vector keeps its elements where they are; a copied one does not

    index_t order() const { return view_.rows; }
    Symmetric<T> operator[](index_t b) const { return {view_.matrix(b).data, view_.row_stride}; }

  private:
    std::vector<T> copy_;
    View<T> view_;
};

/// Eigenvalues, ascending, those of an item `ld` after the last one's, of scale * first o second o common, matrices
/// of order n; see simd/engine.hpp. A matrix on which the engine does not converge is given to
/// LAPACK, and so are few large ones.
template <class T>
void batched_spectra(const Lane<T>* items, std::int64_t count, std::int64_t n, const Symmetric<T>* common, T scale,
                     T* values, std::int64_t ld, int threads);

}  // namespace fastrenyi::cpu
