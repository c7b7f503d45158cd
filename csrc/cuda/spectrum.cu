#include "ops/spectrum.hpp"

#include <algorithm>

#include "cuda/block_spectrum.hpp"
#include "cuda/by_rows.hpp"
#include "cuda/handle.hpp"

namespace fastrenyi::cuda {
namespace {

/// Copies of matrices for cuSOLVER, which overwrites them.
constexpr std::size_t copies_bytes = std::size_t(64) << 20;

/// A block to a matrix.
template <class T, class Share>
struct Spectrum {
    static constexpr int max_threads = Share::threads, min_blocks = Share::blocks;

    View<T> a;
    T* values;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const TridiagonalWorkspace<T> room(block, static_cast<int>(a.rows), Share{});
        const View<T> matrix = a.matrix(block.index());
        // Rows and columns are exchanged: neighbouring threads, which have neighbouring rows, read neighbours.
        const T* const found = spectrum_of<Share>(block, room, [&](int i, int j) { return matrix.at(j, i); });
        if (block.thread() < room.n) values[block.index() * a.rows + block.thread()] = found[block.thread()];
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
index_t block_order() {
    return most_rows<T>;
}

template <class T>
std::size_t spectrum_workspace(index_t batch, index_t n) {
    if (batch == 0 || n <= block_order<T>()) return 0;
    const index_t count = copies<T>(batch, n);
    return dense_bytes<T>(count, n) + solve_workspace_of_pieces<T>(batch, count, n);
}

template <class T>
void spectrum(const View<T>& a, T* values, void* workspace, std::size_t workspace_bytes, Stream stream) {
    const index_t n = a.rows;
    if (a.batch == 0 || n == 0) return;
    const View<T> matrices = by_rows(a);
    if (n <= block_order<T>())
        return with_shares<T>(n, [&](auto share) {
            using Share = decltype(share);
            constexpr std::size_t room = TridiagonalWorkspace<T>::bytes(Share{});
            launch(Spectrum<T, Share>{matrices, values}, a.batch, Share::threads, room, stream);
        });
    const index_t count = copies<T>(a.batch, n);
    const std::size_t taken = dense_bytes<T>(count, n);
    auto* const dense = static_cast<T*>(workspace);
    for (index_t first = 0; first < a.batch; first += count) {
        const index_t some = std::min(count, a.batch - first);
        copy(matrices, first, some, dense, stream);
        solve(dense, some, n, false, values + first * n, static_cast<char*>(workspace) + taken, workspace_bytes - taken,
              stream);
    }
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

template index_t block_order<float>();
template index_t block_order<double>();
template std::size_t spectrum_workspace<float>(index_t, index_t);
template std::size_t spectrum_workspace<double>(index_t, index_t);
template void spectrum(const View<float>&, float*, void*, std::size_t, Stream);
template void spectrum(const View<double>&, double*, void*, std::size_t, Stream);
template std::size_t eigh_workspace<float>(index_t, index_t);
template std::size_t eigh_workspace<double>(index_t, index_t);
template void eigh(const View<float>&, float*, float*, void*, std::size_t, Stream);
template void eigh(const View<double>&, double*, double*, void*, std::size_t, Stream);

}  // namespace fastrenyi::cuda
