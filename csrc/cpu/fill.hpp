// Entries of a symmetric matrix from rows of sums: each pair once, and its mirror image.
#pragma once
#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/dispatch.hpp"

namespace fastrenyi::cpu {

/// Rows [first, first + height) of one matrix, `stride` apart, from `first` on, and the mirror image. A policy turns
/// the sums of a row into entries: those behind the diagonal, and the one on it.
template <class T, class Sums, class Policy>
void fill_block(const Policy& policy, const Sums& source, index_t n, index_t first, T* out, index_t stride) {
    const index_t height = std::min(Sums::rows, n - first), width = n - first, ld = width + 15;
    std::vector<double> sums(static_cast<std::size_t>(Sums::rows * ld), 0.0);
    source.add(first, height, sums.data(), ld);
    for (index_t i = 0; i < height; ++i) {
        double* const entries = &sums[i * ld];
        T* const row = out + (first + i) * stride + first;
        policy.finish(entries + i + 1, width - i - 1);
        entries[i] = policy.diagonal(entries[i]);
        for (index_t j = 0; j < i; ++j) entries[j] = sums[j * ld + i];
        for (index_t j = 0; j < width; ++j) row[j] = static_cast<T>(entries[j]);
    }
    engine<T>().mirror(sums.data(), ld, height, width, out + first * (stride + 1), stride);
}

template <class T, class Sums, class Policy>
void fill(const Policy& policy, const Sums& source, index_t n, T* out, index_t stride, int threads) {
    parallel_for((n + Sums::rows - 1) / Sums::rows, threads,
                 [&](index_t block, int) { fill_block(policy, source, n, block * Sums::rows, out, stride); });
}

}  // namespace fastrenyi::cpu
