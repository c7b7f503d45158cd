// The order in which matrices are read.
#pragma once
#include <cstdlib>
#include <utility>

#include "common/view.hpp"

namespace fastrenyi::cuda {

/// The same symmetric matrices, the elements of a row being closer together in memory than those of a column.
template <class T>
View<T> by_rows(View<T> a) {
    if (std::abs(a.row_stride) < std::abs(a.col_stride)) std::swap(a.row_stride, a.col_stride);
    return a;
}

}  // namespace fastrenyi::cuda
