// The spectrum of one matrix by one block of threads: what the kernels of spectrum and pairs do.
#pragma once
#include "cuda/bisection.hpp"
#include "cuda/tridiagonal.hpp"

namespace fastrenyi::cuda {

/// Divides the tridiagonal matrix of the room by a power of two that puts its Gershgorin discs between -1/2 and 1/2 and
/// one of them beyond 1/4 or -1/4. Row i goes to put(i, d, e2), e2 being the square of the element before d.
template <class T>
struct Scaled {
    T scale;      ///< what the rows were divided by; 0 for a matrix of zeros
    T low, high;  ///< of the discs, a little widened
};
template <class T, class Block, class F>
FASTRENYI_DEVICE Scaled<T> scale_rows(Block& block, const TridiagonalWorkspace<T>& room, F put) {
    constexpr T negligible = Real<T>::epsilon * Real<T>::epsilon / 64;  // half the resolution, squared
    const int i = block.thread(), n = room.n;
    T d = 0, e2 = 0, radius = 0;
    T most = -Real<T>::high * Real<T>::high, least = -most, poison = 0;
    if (i < n) {
        d = room.d[i];
        e2 = i > 0 ? room.e2[i - 1] : T(0);
        radius = std::sqrt(e2) + (i + 1 < n ? std::sqrt(room.e2[i]) : T(0));
        most = d + radius;
        least = d - radius;
        poison = (d + radius) * T(0);
    }
    poison = block.sum(poison);  // NaN if anything is not finite: comparisons would forget it
    most = block.largest(most) + poison;
    least = poison - block.largest(-least);
    const T largest = magnitude(most) > magnitude(least) ? magnitude(most) : magnitude(least);
    const int exponent = exponent_of(largest * (T(1) + 32 * Real<T>::epsilon)) + 2;
    const T inverse = power_of_two<T>(-exponent), margin = 8 * resolution<T>;
    if (i < n) {
        e2 = e2 * inverse * inverse;
        put(i, d * inverse, i > 0 && !(e2 > negligible) ? negligible : e2);
    }
    return {largest == T(0) ? T(0) : power_of_two<T>(exponent), least * inverse - margin, most * inverse + margin};
}

/// Eigenvalues, ascending, of the room's tridiagonal matrix times `scale`; they stay in the room, where this returns
/// them. To be called after a barrier; ends with one.
template <class T, class Block>
FASTRENYI_DEVICE const T* eigenvalues(Block& block, const TridiagonalWorkspace<T>& room, T scale) {
    const int j = block.thread(), n = room.n;
    auto* const rows = reinterpret_cast<Row<T>*>(room.pending);  // free by now
    T* const values = reinterpret_cast<T*>(room.pending);
    const auto put = [&](int i, T d, T e2) { rows[i] = {d, e2}; };
    const T only = room.d[0];
    const Scaled<T> scaled = scale_rows(block, room, put);
    block.sync();
    T value = bisect(block, rows, reinterpret_cast<Point<T>*>(room.u), n, scaled.low, scaled.high);
    value = n == 1 ? only * scale : value * scaled.scale * scale;
    if (j < n) values[j] = value;
    block.sync();
    // Counts of neighbouring points can contradict each other in the last bit.
    if (block.any(j + 1 < n && values[j] > values[j + 1])) {
        if (j == 0)
            for (int i = 1; i < n; ++i) values[i] = values[i] < values[i - 1] ? values[i - 1] : values[i];
        block.sync();
    }
    return values;
}

/// Eigenvalues, ascending, of element(i, j), i >= j, of the room's order; they stay in the room, where this returns
/// them. A barrier at its end.
template <class Share, class T, class Block, class F>
FASTRENYI_DEVICE const T* spectrum_of(Block& block, const TridiagonalWorkspace<T>& room, F element) {
    Columns<T, Share> columns;
    const T scale = fill(block, columns, room.n, element);
    tridiagonalise(block, room, columns);
    return eigenvalues(block, room, scale);
}

}  // namespace fastrenyi::cuda
