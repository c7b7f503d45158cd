#include "ops/hadamard.hpp"

#include "cuda/launch.hpp"

namespace fastrenyi::cuda {
namespace {

constexpr int block_threads = 256;

/// A view without its lengths.
template <class T>
struct Factor {
    const T* data;
    index_t batch_stride, row_stride, col_stride;
};

/// Writes factors into device memory, where any number of them can stand: arguments of a kernel have room for few.
template <class T>
struct WriteFactors {
    static constexpr int max_threads = warp_size, most = 96;

    Factor<T>* to;
    Factor<T> factors[most];
    int count;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        for (int c = block.thread(); c < count; c += block.threads()) to[c] = factors[c];
    }
};

/// The workspace: the factors, and of each matrix the diagonal of its product, the scale of each factor, and the
/// inverse of the trace.
template <class T>
struct Workspace {
    Factor<T>* factors;
    double* numbers;
    index_t count, n;

    FASTRENYI_HD index_t numbers_of_matrix() const { return n + count + 1; }
    FASTRENYI_HD double* diagonal(index_t b) const { return numbers + b * numbers_of_matrix(); }
    FASTRENYI_HD double* scales(index_t b) const { return diagonal(b) + n; }
    FASTRENYI_HD double* inverse_trace(index_t b) const { return scales(b) + count; }
};

/// A block to a matrix: brings the largest diagonal entry of the product to one, factor by factor.
template <class T>
struct Scales {
    static constexpr int max_threads = block_threads;

    Workspace<T> workspace;
    Status* status;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t b = block.index(), n = workspace.n;
        double* const diagonal = workspace.diagonal(b);
        double scale = 1.0;  // of the factor before
        for (index_t c = 0; c < workspace.count; ++c) {
            const Factor<T> factor = workspace.factors[c];
            const T* const entries = factor.data + b * factor.batch_stride;
            double largest = 0.0;
            for (index_t i = block.thread(); i < n; i += block.threads()) {
                const double before = c == 0 ? 1.0 : diagonal[i] * scale;
                const double entry = before * entries[i * (factor.row_stride + factor.col_stride)];
                diagonal[i] = entry;
                largest = entry > largest ? entry : largest;
            }
            largest = block.largest(largest);
            if (!(largest > 0.0)) {
                if (block.thread() == 0) {
                    *workspace.inverse_trace(b) = 0.0;
                    report(block, status, b, Finding::trace);
                }
                return;
            }
            scale = 1.0 / largest;
            if (block.thread() == 0) workspace.scales(b)[c] = scale;
        }
        double trace = 0.0;
        for (index_t i = block.thread(); i < n; i += block.threads()) trace += diagonal[i] * scale;
        trace = block.sum(trace);
        if (block.thread() == 0) *workspace.inverse_trace(b) = 1.0 / trace;
    }
};

/// A thread to an entry; a block to some entries of one matrix.
template <class T>
struct Products {
    static constexpr int max_threads = block_threads;

    Workspace<T> workspace;
    T* out;
    index_t pieces;  // blocks to a matrix

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t n = workspace.n, b = block.index() / pieces;
        const index_t entry = block.index() % pieces * block.threads() + block.thread();
        if (entry >= n * n) return;
        const index_t i = entry / n, j = entry % n;
        const double* const scales = workspace.scales(b);
        double product = *workspace.inverse_trace(b);
        if (product != 0.0)  // else there are no scales
            for (index_t c = 0; c < workspace.count; ++c) {
                const Factor<T> factor = workspace.factors[c];
                product *=
                    scales[c] * factor.data[b * factor.batch_stride + i * factor.row_stride + j * factor.col_stride];
            }
        out[b * n * n + entry] = static_cast<T>(product);
    }
};

constexpr std::size_t factor_bytes = sizeof(Factor<double>);
static_assert(factor_bytes == sizeof(Factor<float>) && factor_bytes % 16 == 0, "both have the same workspace");

}  // namespace

std::size_t hadamard_workspace(index_t count, index_t batch, index_t n) {
    return count * factor_bytes + batch * (n + count + 1) * sizeof(double);
}

template <class T>
void hadamard(const std::vector<View<T>>& factors, T* out, void* workspace, Status* status, Stream stream) {
    const index_t count = static_cast<index_t>(factors.size()), batch = factors.front().batch, n = factors.front().rows;
    if (batch == 0) return;
    auto* const table = static_cast<Factor<T>*>(workspace);
    for (index_t first = 0; first < count; first += WriteFactors<T>::most) {
        WriteFactors<T> kernel{table + first, {}, 0};
        for (; kernel.count < WriteFactors<T>::most && first + kernel.count < count; ++kernel.count) {
            const View<T>& factor = factors[first + kernel.count];
            kernel.factors[kernel.count] = {factor.data, factor.batch_stride, factor.row_stride, factor.col_stride};
        }
        launch(kernel, 1, warp_size, 0, stream);
    }
    const Workspace<T> room{table, reinterpret_cast<double*>(table + count), count, n};
    const int threads = n <= 64 ? 64 : n <= 128 ? 128 : block_threads;
    launch(Scales<T>{room, status}, batch, threads, 0, stream);
    const index_t pieces = (n * n + block_threads - 1) / block_threads;
    launch(Products<T>{room, out, pieces}, batch * pieces, block_threads, 0, stream);
}

template void hadamard(const std::vector<View<float>>&, float*, void*, Status*, Stream);
template void hadamard(const std::vector<View<double>>&, double*, void*, Status*, Stream);

}  // namespace fastrenyi::cuda
