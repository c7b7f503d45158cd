// A batch of matrices somewhere in memory: a pointer, three lengths, three strides. Owns nothing. What is constexpr can
// be called on a device.
#pragma once
#include <cstdint>

namespace fastrenyi {

using index_t = std::int64_t;

/// batch matrices of rows x cols elements; strides count elements and may be zero (broadcast) or negative.
template <class T>
struct View {
    const T* data = nullptr;
    index_t batch = 0, rows = 0, cols = 0;
    index_t batch_stride = 0, row_stride = 0, col_stride = 0;

    constexpr View matrix(index_t b) const {
        return {data + b * batch_stride, 1, rows, cols, 0, row_stride, col_stride};
    }
    constexpr const T* row(index_t i) const { return data + i * row_stride; }
    constexpr const T& at(index_t i, index_t j) const { return data[i * row_stride + j * col_stride]; }
};

/// A dense row-major batch of square matrices.
template <class T>
constexpr View<T> dense_square(const T* data, index_t batch, index_t n) {
    return {data, batch, n, n, n * n, n, 1};
}

}  // namespace fastrenyi
