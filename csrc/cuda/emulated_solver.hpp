// Stands in for cuSOLVER under the host's emulation: eigenvalues and eigenvectors by Jacobi's rotations.
#pragma once
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "common/view.hpp"

namespace fastrenyi::cuda {

/// One dense matrix, overwritten; with vectors by these: row j belongs to value j.
template <class T>
void jacobi(T* matrix, index_t n, bool vectors, T* values) {
    const auto size = static_cast<std::size_t>(n);
    std::vector<double> a(matrix, matrix + n * n), v(size * size, 0.0);
    for (std::size_t i = 0; i < size; ++i) v[i * size + i] = 1.0;
    const auto rotate = [size](double* x, double* y, std::size_t step, double c, double s) {
        for (std::size_t k = 0; k < size; ++k, x += step, y += step) {
            const double left = c * *x - s * *y;
            *y = s * *x + c * *y;
            *x = left;
        }
    };
    bool changed = true;
    for (int sweep = 0; changed && sweep < 40; ++sweep) {
        changed = false;
        for (std::size_t p = 0; p < size; ++p)
            for (std::size_t q = p + 1; q < size; ++q) {
                const double off = a[p * size + q], low = a[p * size + p], high = a[q * size + q];
                if (std::abs(off) <= 1e-17 * (std::abs(low) + std::abs(high)) || off == 0.0) continue;
                changed = true;
                const double slope = (high - low) / (2 * off);
                const double t = (slope < 0 ? -1.0 : 1.0) / (std::abs(slope) + std::hypot(1.0, slope));
                const double c = 1 / std::sqrt(1 + t * t), s = t * c;
                rotate(&a[p * size], &a[q * size], 1, c, s);
                rotate(&a[p], &a[q], size, c, s);
                rotate(&v[p * size], &v[q * size], 1, c, s);
            }
    }
    std::vector<std::size_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(),
              [&](std::size_t i, std::size_t j) { return a[i * size + i] < a[j * size + j]; });
    for (std::size_t j = 0; j < size; ++j) {
        const std::size_t from = order[j];
        values[j] = static_cast<T>(a[from * size + from]);
        if (vectors)
            std::transform(&v[from * size], &v[from * size] + size, matrix + j * size,
                           [](double x) { return static_cast<T>(x); });
    }
}

}  // namespace fastrenyi::cuda
