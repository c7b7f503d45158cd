// All pairs of samples, a tile of pairs to a block of threads: what Grams and distances have in common.
//
// A block has `tile` samples on either side. Their features come in chunks through shared memory, read along whichever
// of samples and features are neighbours in device memory; each thread keeps per_thread x per_thread sums. Tiles
// above the diagonal are mirrored ones, so each pair is summed once.
//
// A Rule says what is summed and what becomes of the sum:
//
//   Element                              what a feature is in shared memory
//   State                                what a block knows before it sums
//   table                                how many doubles of shared memory the State needs
//   State begin(block, samples, b)       of matrix b; may go over the features with samples.visit()
//   Element staged(state, x, row)        a feature on its way into shared memory; row: on the x side [0, tile), then y
//   void add(sums, state, x, y)          adds a chunk to the sums; x and y: the thread's first sample on either side
//   double diagonal()
//   double finish(state, sum, row, col)  row on the x side, col on the y side
#pragma once
#include <cmath>
#include <cstdlib>

#include "cuda/launch.hpp"

namespace fastrenyi::cuda {

constexpr int tile = 32;                 // samples on a side of a block
constexpr int chunk = 16;                // features in shared memory at a time
constexpr int per_thread = 4;            // samples on a side of a thread
constexpr int side = tile / per_thread;  // threads on a side of a block
constexpr int tile_threads = side * side;
constexpr int pitch = tile + 1;  // so that neither rows nor columns share a bank
constexpr int side_elements = chunk * pitch;

using Sums = double[per_thread][per_thread];

/// The samples of the two sides of a block, and where their features are put.
template <class T, class Element>
struct Samples {
    View<T> x;  // one matrix
    index_t first_x, first_y;
    Element* memory;      // [2][chunk][pitch], and the table
    bool along_features;  // they are neighbours in device memory

    /// Features k to k + chunk of both sides to shared memory; zeros where the matrix has ended.
    template <class Block, class F>
    FASTRENYI_DEVICE void stage(Block& block, index_t k, F staged) const {
        for (int e = block.thread(); e < 2 * tile * chunk; e += tile_threads) {
            const int row = along_features ? e / chunk : e % tile + e / (tile * chunk) * tile;
            const int feature = along_features ? e % chunk : e / tile % chunk;
            const index_t sample = row < tile ? first_x + row : first_y + (row - tile);
            Element value = Element(0);
            if (sample < x.rows && k + feature < x.cols) value = staged(x.at(sample, k + feature), row);
            memory[row / tile * side_elements + feature * pitch + row % tile] = value;
        }
    }

    /// Calls act() with each chunk in shared memory.
    template <class Block, class F, class G>
    FASTRENYI_DEVICE void visit(Block& block, F staged, G act) const {
        for (index_t k = 0; k < x.cols; k += chunk) {
            stage(block, k, staged);
            block.sync();
            act();
            block.sync();
        }
    }
};

template <class In, class Out, class Rule>
struct Tiles {
    static constexpr int max_threads = tile_threads;

    View<In> x;
    Out* out;
    Rule rule;
    bool along_features;
    Status* status;  // or null: then nobody asks whether samples are finite

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        using Element = typename Rule::Element;
        const index_t n = x.rows, tiles = (n + tile - 1) / tile, pairs = tiles * (tiles + 1) / 2;
        const index_t b = block.index() / pairs;
        index_t upper, lower;
        unpack(block.index() % pairs, lower, upper);
        const Samples<In, Element> samples{x.matrix(b), lower * tile, upper * tile, block.template shared<Element>(),
                                           along_features};
        const auto state = rule.begin(block, samples, b);
        const int row = block.thread() / side, col = block.thread() % side;
        Sums sums = {};
        bool wrong = false;
        samples.visit(
            block,
            [&](In value, int at) {
                wrong |= !(value - value == In(0));
                return rule.staged(state, value, at);
            },
            [&] { rule.add(sums, state, samples.memory + row, samples.memory + side_elements + col); });
        if (status && block.any(wrong) && block.thread() == 0) report(block, status, b, Finding::not_finite);
        Out* const entries = block.template shared<Out>();
        for (int r = 0; r < per_thread; ++r)
            for (int c = 0; c < per_thread; ++c) {
                const int i = row + r * side, j = col + c * side;
                const bool same = samples.first_x + i == samples.first_y + j;
                entries[i * pitch + j] =
                    static_cast<Out>(same ? rule.diagonal() : rule.finish(state, sums[r][c], i, j));
            }
        block.sync();
        Out* const result = out + b * n * n;
        write<1>(block, entries, result, samples.first_x, samples.first_y, n);
        if (upper != lower) write<pitch>(block, entries, result, samples.first_y, samples.first_x, n);
    }

  private:
    /// A tile of results to rows from i0 and columns from j0 on; neighbouring threads write neighbouring columns, which
    /// are `step` apart in the tile.
    template <int step, class Block>
    FASTRENYI_DEVICE void write(Block& block, const Out* entries, Out* result, index_t i0, index_t j0,
                                index_t n) const {
        for (int e = block.thread(); e < tile * tile; e += tile_threads) {
            const int i = e / tile, j = e % tile;
            if (i0 + i < n && j0 + j < n)
                result[(i0 + i) * n + j0 + j] = entries[i * (step == 1 ? pitch : 1) + j * step];
        }
    }

    /// pair = lower (lower + 1) / 2 + upper, upper <= lower.
    static FASTRENYI_DEVICE void unpack(index_t pair, index_t& lower, index_t& upper) {
        lower = static_cast<index_t>((std::sqrt(8.0 * static_cast<double>(pair) + 1.0) - 1.0) / 2.0);
        while (lower * (lower + 1) / 2 > pair) --lower;
        while ((lower + 1) * (lower + 2) / 2 <= pair) ++lower;
        upper = pair - lower * (lower + 1) / 2;
    }
};

/// Starts the kernel on all tiles of all matrices.
template <class In, class Out, class Rule>
void launch_tiles(const View<In>& x, Out* out, const Rule& rule, Status* status, Stream stream) {
    using Element = typename Rule::Element;
    const index_t tiles = (x.rows + tile - 1) / tile;
    const bool along_features = std::abs(x.col_stride) <= std::abs(x.row_stride);
    constexpr std::size_t staged = sizeof(Element) * 2 * side_elements, results = sizeof(Out) * tile * pitch;
    launch(Tiles<In, Out, Rule>{x, out, rule, along_features, status}, x.batch * (tiles * (tiles + 1) / 2),
           tile_threads, (staged > results ? staged : results) + sizeof(double) * Rule::table, stream);
}

/// Adds what is between the samples of a thread, for each feature of a chunk. x and y point to its first of either
/// side.
template <class Element, class F>
FASTRENYI_DEVICE void add_chunk(Sums& sums, const Element* x, const Element* y, F between) {
    for (int k = 0; k < chunk; ++k) {
        Element own[per_thread], other[per_thread];
        for (int r = 0; r < per_thread; ++r) own[r] = x[k * pitch + r * side];
        for (int c = 0; c < per_thread; ++c) other[c] = y[k * pitch + c * side];
        for (int r = 0; r < per_thread; ++r)
            for (int c = 0; c < per_thread; ++c) sums[r][c] += between(own[r], other[c]);
    }
}

}  // namespace fastrenyi::cuda
