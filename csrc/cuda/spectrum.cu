#include "ops/spectrum.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cuda/by_rows.hpp"
#include "cuda/handle.hpp"
#include "cuda/ql.hpp"
#include "cuda/shared_limit.hpp"
#include "cuda/shared_spectrum.hpp"

namespace fastrenyi::cuda {
namespace {

/// Copies of matrices for cuSOLVER, which overwrites them.
constexpr std::size_t copies_bytes = std::size_t(64) << 20;

/// Fills the room with matrix block.index() of a; returns what it was divided by.
template <class T, class Block>
FASTRENYI_DEVICE T fill_from(Block& block, const TridiagonalWorkspace<T>& room, const View<T>& a) {
    const View<T> matrix = a.matrix(block.index());
    return fill(block, room, [&](int i, int j) { return matrix.at(j, i); });
}

/// A block to a matrix, from its elements to its eigenvalues.
template <class T, int tiles>
struct Spectrum {
    static constexpr int max_threads = Shares<tiles>::threads, min_blocks = Shares<tiles>::blocks;

    View<T> a;
    T* values;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const TridiagonalWorkspace<T> room(block, static_cast<int>(a.rows), tiles);
        const T scale = fill_from(block, room, a);
        tridiagonalise<tiles>(block, room);
        const T* const found = eigenvalues(block, room, scale);
        if (block.thread() < room.n) values[block.index() * a.rows + block.thread()] = found[block.thread()];
    }
};

/// Tridiagonal matrices on their way from one kernel to the next: element i of all of them stands together.
template <class T>
struct Tridiagonals {
    T *d, *e2, *scale;
    index_t batch;

    Tridiagonals(void* workspace, index_t batch, index_t n)
        : d(static_cast<T*>(workspace)), e2(d + batch * n), scale(e2 + batch * n), batch(batch) {}
    static std::size_t bytes(index_t batch, index_t n) {
        return static_cast<std::size_t>(batch * (2 * n + 1)) * sizeof(T);
    }
};

template <class T, int tiles>
struct Reduce {
    static constexpr int max_threads = Shares<tiles>::threads, min_blocks = Shares<tiles>::blocks;

    View<T> a;
    Tridiagonals<T> to;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const TridiagonalWorkspace<T> room(block, static_cast<int>(a.rows), tiles);
        const index_t b = block.index();
        const T scale = fill_from(block, room, a);
        tridiagonalise<tiles>(block, room);
        const Scaled<T> scaled = scale_rows(block, room, [&](int i, T d, T e2) {
            to.d[i * to.batch + b] = d;
            if (i > 0) to.e2[(i - 1) * to.batch + b] = e2;
        });
        // NaN is in the limits, if anywhere
        if (block.thread() == 0) to.scale[b] = scaled.scale * scale + (scaled.high - scaled.high);
    }
};

/// A thread to a matrix.
template <class T>
struct Solve {
    static constexpr int max_threads = 128;

    Tridiagonals<T> from;
    index_t n;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t b = block.index() * block.threads() + block.thread();
        if (b < from.batch && !root_free_ql(from.d + b, from.e2 + b, n, from.batch))
            from.scale[b] = std::numeric_limits<T>::quiet_NaN();
    }
};

/// A block to a matrix: each eigenvalue counts how many stand before it.
template <class T>
struct Sort {
    static constexpr int max_threads = 128;

    Tridiagonals<T> from;
    index_t n;
    T* values;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        T* const unsorted = block.template shared<T>();
        const index_t b = block.index();
        const T scale = from.scale[b];
        for (index_t i = block.thread(); i < n; i += block.threads()) {
            const T x = from.d[i * from.batch + b];
            unsorted[i] = x == x ? x : std::numeric_limits<T>::infinity();  // so that all can be compared
        }
        block.sync();
        for (index_t i = block.thread(); i < n; i += block.threads()) {
            const T x = unsorted[i];
            index_t rank = 0;
            for (index_t k = 0; k < n; ++k) rank += unsorted[k] < x || (unsorted[k] == x && k < i) ? 1 : 0;
            values[b * n + rank] = x * scale;
        }
    }
};

/// A dense copy of matrices `first` on; a thread to an element.
template <class T>
struct Copy {
    static constexpr int max_threads = 256;

    View<T> a;
    index_t first, elements;
    T* to;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t k = block.index() * block.threads() + block.thread(), n = a.rows;
        if (k < elements) to[k] = a.matrix(first + k / (n * n)).at(k / n % n, k % n);
    }
};

/// Transposes matrices in place; a block to a matrix.
template <class T>
struct Transpose {
    static constexpr int max_threads = 1024;

    T* matrices;
    index_t n;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        T* const matrix = matrices + block.index() * n * n;
        const int lane = block.thread() % warp_size, warp = block.thread() / warp_size;
        for (index_t i = warp; i < n; i += block.threads() / warp_size)
            for (index_t j = lane; j < i; j += warp_size) {
                const T x = matrix[i * n + j];
                matrix[i * n + j] = matrix[j * n + i];
                matrix[j * n + i] = x;
            }
    }
};

template <class T>
void copy(const View<T>& a, index_t first, index_t count, T* to, Stream stream) {
    constexpr int threads = Copy<T>::max_threads;
    const index_t elements = count * a.rows * a.cols;
    launch(Copy<T>{a, first, elements, to}, (elements + threads - 1) / threads, threads, 0, stream);
}

template <class T>
index_t copies(index_t batch, index_t n) {
    const auto bytes = static_cast<std::size_t>(n * n) * sizeof(T);
    return std::min(batch, std::max<index_t>(1, static_cast<index_t>(copies_bytes / bytes)));
}

/// Bytes of `count` dense matrices, aligned.
template <class T>
std::size_t dense_bytes(index_t count, index_t n) {
    return (static_cast<std::size_t>(count * n * n) * sizeof(T) + 255) / 256 * 256;
}

}  // namespace

template <class T>
index_t shared_order() {
    const std::size_t most = most_shared_bytes();
    index_t n = most_rows;
    while (n > 0 && shared_bytes<T>(n) > most) --n;
    return n;
}

template <class T>
std::size_t spectrum_workspace(index_t batch, index_t n, Eigenvalues method) {
    if (batch == 0) return 0;
    if (n <= shared_order<T>()) return method == Eigenvalues::ql ? Tridiagonals<T>::bytes(batch, n) : 0;
    const index_t count = copies<T>(batch, n);
    return dense_bytes<T>(count, n) + solve_workspace<T>(count, n, false);
}

template <class T>
void spectrum(const View<T>& a, T* values, Eigenvalues method, void* workspace, std::size_t workspace_bytes,
              Stream stream) {
    const index_t n = a.rows;
    if (a.batch == 0 || n == 0) return;
    const View<T> matrices = by_rows(a);
    if (n > shared_order<T>()) {
        const index_t count = copies<T>(a.batch, n);
        const std::size_t taken = dense_bytes<T>(count, n);
        auto* const dense = static_cast<T*>(workspace);
        for (index_t first = 0; first < a.batch; first += count) {
            const index_t some = std::min(count, a.batch - first);
            copy(matrices, first, some, dense, stream);
            solve(dense, some, n, false, values + first * n, static_cast<char*>(workspace) + taken,
                  workspace_bytes - taken, stream);
        }
        return;
    }
    with_shares(n, [&](auto shares) {
        constexpr int tiles = decltype(shares)::row_tiles, threads = decltype(shares)::threads;
        const std::size_t room = shared_bytes<T>(n);
        if (method == Eigenvalues::bisection)
            launch(Spectrum<T, tiles>{matrices, values}, a.batch, threads, room, stream);
        else
            launch(Reduce<T, tiles>{matrices, {workspace, a.batch, n}}, a.batch, threads, room, stream);
    });
    if (method == Eigenvalues::bisection) return;
    const Tridiagonals<T> reduced(workspace, a.batch, n);
    constexpr int threads = Solve<T>::max_threads;
    launch(Solve<T>{reduced, n}, (a.batch + threads - 1) / threads, threads, 0, stream);
    launch(Sort<T>{reduced, n, values}, a.batch,
           n <= 32   ? 32
           : n <= 64 ? 64
                     : Sort<T>::max_threads,
           n * sizeof(T), stream);
}

template <class T>
std::size_t eigh_workspace(index_t batch, index_t n) {
    return batch == 0 || n == 0 ? 0 : solve_workspace<T>(batch, n, true);
}

template <class T>
void eigh(const View<T>& a, T* values, T* vectors, void* workspace, std::size_t workspace_bytes, Stream stream) {
    if (a.batch == 0 || a.rows == 0) return;
    copy(by_rows(a), 0, a.batch, vectors, stream);
    solve(vectors, a.batch, a.rows, true, values, workspace, workspace_bytes, stream);
    const int threads = a.rows <= 64 ? 128 : a.rows <= 256 ? 512 : Transpose<T>::max_threads;
    launch(Transpose<T>{vectors, a.rows}, a.batch, threads, 0, stream);
}

template index_t shared_order<float>();
template index_t shared_order<double>();
template std::size_t spectrum_workspace<float>(index_t, index_t, Eigenvalues);
template std::size_t spectrum_workspace<double>(index_t, index_t, Eigenvalues);
template void spectrum(const View<float>&, float*, Eigenvalues, void*, std::size_t, Stream);
template void spectrum(const View<double>&, double*, Eigenvalues, void*, std::size_t, Stream);
template std::size_t eigh_workspace<float>(index_t, index_t);
template std::size_t eigh_workspace<double>(index_t, index_t);
template void eigh(const View<float>&, float*, float*, void*, std::size_t, Stream);
template void eigh(const View<double>&, double*, double*, void*, std::size_t, Stream);

}  // namespace fastrenyi::cuda
