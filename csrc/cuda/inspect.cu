#include "ops/inspect.hpp"

#include <algorithm>
#include <cmath>

#include "cuda/by_rows.hpp"
#include "cuda/launch.hpp"
#include "cuda/real.hpp"

namespace fastrenyi::cuda {
namespace {

constexpr int block_threads = 256;

template <class T>
FASTRENYI_DEVICE bool finite(T x) {
    return x - x == T(0);
}

/// An axis of a View.
struct Axis {
    index_t length, stride;
    bool batch;  // its index is that of the matrix
};

/// The elements as lines along the axis of least stride, cut into pieces; `lanes` neighbouring threads to a piece.
template <class T>
struct NotFinite {
    static constexpr int max_threads = block_threads;
    static constexpr index_t piece = 16 * block_threads;

    const T* data;
    Axis axes[3];  // the first is that of the lines
    index_t pieces, lines;
    int lanes;
    Status* status;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t group = block.index() * (block.threads() / lanes) + block.thread() / lanes;
        if (group >= lines * pieces) return;
        const index_t line = group / pieces, first = group % pieces * piece;
        const index_t outer = line / axes[1].length, inner = line % axes[1].length;
        const T* const elements = data + outer * axes[2].stride + inner * axes[1].stride;
        const index_t matrix = axes[2].batch ? outer : axes[1].batch ? inner : 0;
        const index_t last = first + piece < axes[0].length ? first + piece : axes[0].length;
        for (index_t k = first + block.thread() % lanes; k < last; k += lanes)
            if (!finite(elements[k * axes[0].stride]))
                report(block, status, axes[0].batch ? k : matrix, Finding::not_finite);
    }
};

/// A warp to a row where its elements are neighbours, else a thread: neighbouring threads read neighbouring elements.
template <class T>
struct ZeroRows {
    static constexpr int max_threads = block_threads;

    View<T> x;
    int lanes;  // 1 or warp_size
    Status* status;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t row = block.index() * (block.threads() / lanes) + block.thread() / lanes;
        const bool inside = row < x.batch * x.rows;
        const int lane = block.thread() % lanes;
        int other = 0;  // elements seen that are not zero
        if (inside) {
            const T* elements = x.data + row / x.rows * x.batch_stride + row % x.rows * x.row_stride;
            for (index_t k = lane; k < x.cols && other == 0; k += lanes) other = elements[k * x.col_stride] != T(0);
        }
        if (lanes == warp_size) other = block.warp_sum(other);
        if (inside && lane == 0 && other == 0) report(block, status, row / x.rows, Finding::not_finite);
    }
};

/// A block to a matrix, a warp to a tile and its mirrored one: both are read along rows, and every element once.
template <class T>
struct GramFault {
    static constexpr int max_threads = 256;
    static constexpr int tile = warp_size, pitch = tile + 1;

    View<T> a;
    double tolerance;
    bool trace_one;
    Status* status;

    static std::size_t shared_bytes(int threads) { return sizeof(T) * tile * pitch * (threads / warp_size); }
    static int threads(index_t n) {
        const index_t tiles = (n + tile - 1) / tile, pairs = tiles * (tiles + 1) / 2;
        return static_cast<int>(pairs < 1 ? 1 : pairs < 5 ? pairs : n <= 256 ? 5 : 8) * warp_size;  // 66 KB
    }

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t b = block.index(), n = a.rows;
        const View<T> matrix = a.matrix(b);
        T* const mirrored = block.template shared<T>() + block.warp() * tile * pitch;
        Seen seen;
        int turn = 0;
        for (index_t i0 = 0; i0 < n; i0 += tile)
            for (index_t j0 = 0; j0 <= i0; j0 += tile)
                if (turn++ % (block.threads() / warp_size) == block.warp()) look(block, matrix, i0, j0, mirrored, seen);
        const bool bad = block.any(seen.bad);
        const double allowed = tolerance * block.largest(seen.largest), apart = block.largest(seen.apart);
        const double trace = block.sum(seen.trace);
        if (block.thread() != 0) return;
        if (bad) return report(block, status, b, Finding::not_finite);
        if (apart > allowed) report(block, status, b, Finding::asymmetric);
        if (trace_one && !(std::abs(trace - 1.0) <= tolerance)) report(block, status, b, Finding::trace);
    }

  private:
    struct Seen {
        double largest = 0.0;  // magnitude of an element
        double apart = 0.0;    // of the difference of an element to its mirrored one
        double trace = 0.0;
        bool bad = false;
    };

    template <class Block>
    FASTRENYI_DEVICE void look(Block& block, const View<T>& matrix, index_t i0, index_t j0, T* mirrored,
                               Seen& seen) const {
        const index_t n = matrix.rows;
        const int lane = block.lane();
        const auto rows_from = [&](index_t first) { return n - first < tile ? static_cast<int>(n - first) : tile; };
        const auto note = [&](T element) {
            const double size = std::abs(static_cast<double>(element));
            seen.bad |= !finite(element);
            seen.largest = size > seen.largest ? size : seen.largest;
        };
        const int rows = rows_from(i0), cols = rows_from(j0);
        block.sync_warp();  // whoever still reads the last tile
        if (lane < rows) {
            FASTRENYI_UNROLL_4
            for (int j = 0; j < cols; ++j) mirrored[j * pitch + lane] = matrix.at(j0 + j, i0 + lane);
        }
        block.sync_warp();
        if (lane >= cols) return;
        FASTRENYI_UNROLL_4
        for (int i = 0; i < rows; ++i) {
            const T other = mirrored[lane * pitch + i],
                    element = i0 == j0 ? mirrored[i * pitch + lane] : matrix.at(i0 + i, j0 + lane);
            const double difference = std::abs(static_cast<double>(element) - static_cast<double>(other));
            note(element);
            if (i0 != j0) note(other);
            seen.apart = difference > seen.apart ? difference : seen.apart;
            if (i0 + i == j0 + lane) seen.trace += static_cast<double>(element);
        }
    }
};

index_t pieces_of(index_t whole, index_t piece) {
    return (whole + piece - 1) / piece;
}

}  // namespace

template <class T>
void not_finite(const View<T>& x, Status* status, Stream stream) {
    if (x.batch * x.rows * x.cols == 0) return;
    NotFinite<T> kernel{
        x.data, {{x.cols, x.col_stride, false}, {x.rows, x.row_stride, false}, {x.batch, x.batch_stride, true}},
        1,      1,
        1,      status};
    // Axes of one element say nothing; those that are broadcast need to be looked at once, if they do not number
    // matrices, and come last.
    Axis* const axes = kernel.axes;
    for (int k = 0; k < 3; ++k)
        if (axes[k].stride == 0 && !axes[k].batch) axes[k].length = 1;
    const auto reach = [](const Axis& axis) {
        return axis.length == 1 || axis.stride == 0 ? INT64_MAX : std::abs(axis.stride);
    };
    std::stable_sort(axes, axes + 3, [&](const Axis& a, const Axis& b) { return reach(a) < reach(b); });
    // Lines that follow each other without a gap are one.
    for (int k = 1; k < 3; ++k)
        if (!axes[0].batch && !axes[k].batch && axes[k].stride == axes[0].stride * axes[0].length) {
            axes[0].length *= axes[k].length;
            axes[k].length = 1;
            axes[k].stride = 0;
        }
    kernel.pieces = pieces_of(axes[0].length, NotFinite<T>::piece);
    kernel.lines = axes[1].length * axes[2].length;
    while (kernel.lanes < block_threads && kernel.lanes < axes[0].length) kernel.lanes *= 2;
    launch(kernel, pieces_of(kernel.lines * kernel.pieces, block_threads / kernel.lanes), block_threads, 0, stream);
}

template <class T>
void zero_rows(const View<T>& x, Status* status, Stream stream) {
    const int lanes = std::abs(x.col_stride) <= std::abs(x.row_stride) ? warp_size : 1;
    launch(ZeroRows<T>{x, lanes, status}, pieces_of(x.batch * x.rows, block_threads / lanes), block_threads, 0, stream);
}

template <class T>
void gram_fault(const View<T>& a, double tolerance, bool trace_one, Status* status, Stream stream) {
    const int threads = GramFault<T>::threads(a.rows);
    launch(GramFault<T>{by_rows(a), tolerance, trace_one, status}, a.batch, threads,
           GramFault<T>::shared_bytes(threads), stream);
}

template void not_finite(const View<float>&, Status*, Stream);
template void not_finite(const View<double>&, Status*, Stream);
template void zero_rows(const View<float>&, Status*, Stream);
template void zero_rows(const View<double>&, Status*, Stream);
template void gram_fault(const View<float>&, double, bool, Status*, Stream);
template void gram_fault(const View<double>&, double, bool, Status*, Stream);

}  // namespace fastrenyi::cuda
