#include "ops/pairs.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/collision_pairs.hpp"
#include "cpu/lane_spectra.hpp"
#include "ops/entropy.hpp"

namespace fastrenyi::cpu {
namespace {

template <class T>
Symmetric<T> symmetric(const View<T>& a, index_t b) {
    return {a.matrix(b).data, a.row_stride, a.col_stride};
}

/// The rows that nonzero entries connect: after a permutation the matrix is block-diagonal with these blocks.
template <class T>
std::vector<std::vector<index_t>> connected_blocks(const View<T>& a) {
    std::vector<std::vector<index_t>> blocks;
    std::vector<bool> seen(static_cast<std::size_t>(a.rows), false);
    for (index_t start = 0; start < a.rows; ++start) {
        if (seen[start]) continue;
        std::vector<index_t> block{start};
        seen[start] = true;
        for (std::size_t k = 0; k < block.size(); ++k)
            for (index_t j = 0; j < a.rows; ++j)
                if (!seen[j] && a.at(block[k], j) != T(0)) {
                    seen[j] = true;
                    block.push_back(j);
                }
        std::sort(block.begin(), block.end());
        blocks.push_back(std::move(block));
    }
    return blocks;
}

/// Some of the pairs, all of single maps or all of two, and room for their spectra.
template <class T>
struct Tile {
    index_t n;
    std::vector<Lane<T>> items;
    std::vector<T> spectra;
};

}  // namespace

template <class T>
Verdict pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count,
              const double* orders, index_t order_count, double epsilon, double unit, T* alone, T* joint, int threads,
              const std::function<void()>& between_tiles) {
    const index_t n = maps.rows;
    threads = thread_count(threads);
    if (order_count == 1 && orders[0] == 2.0)
        return collision_pairs(maps, target, pairs, pair_count, unit, alone, joint, threads, between_tiles);
    // The engine's workspace is per thread.
    threads = static_cast<int>(std::clamp<index_t>(pairs_workspace_bytes / engine<T>().workspace(n), 1, threads));
    // A tile is about a second's work at most: long enough to keep all threads busy, short enough to be stopped after.
    const index_t tile_size = std::clamp<index_t>(index_t(4'000'000'000) / (n * n * n), 64, 4096);
    Tile<T> tile{n, {}, std::vector<T>(static_cast<std::size_t>(std::min(tile_size, pair_count) * n))};
    using Blocks = std::vector<std::vector<index_t>>;
    const Blocks whole(1, std::vector<index_t>(static_cast<std::size_t>(n)));
    const Blocks blocks = target ? connected_blocks(target->matrix(0)) : whole;
    const Symmetric<T> common = target ? symmetric(*target, 0) : Symmetric<T>{nullptr, 0, 0};

    for (index_t start = 0; start < pair_count;) {
        tile.items.clear();
        const bool single = pairs[2 * start] == pairs[2 * start + 1];
        for (index_t k = start; k < pair_count && k < start + tile_size; ++k) {
            const index_t i = pairs[2 * k], j = pairs[2 * k + 1];
            if ((i == j) != single) break;
            tile.items.push_back({symmetric(maps, i), single ? Symmetric<T>{nullptr, 0, 0} : symmetric(maps, j)});
        }
        const auto count = static_cast<index_t>(tile.items.size());
        const auto measure = [&](const Symmetric<T>* with, T scale, T* out) {
            // The spectrum of a block-diagonal product, as labels make it, is the union of its blocks' spectra.
            index_t done = 0;
            for (const std::vector<index_t>& block : with ? blocks : whole) {
                const auto rows = static_cast<index_t>(block.size());
                lane_spectra(tile.items.data(), count, {rows, rows < n ? block.data() : nullptr}, with, scale,
                             tile.spectra.data() + done, n, threads);
                done += rows;
            }
            Verdict verdict = entropy(tile.spectra.data(), count, n, orders, order_count, epsilon, unit,
                                      out + start * order_count, threads);
            verdict.index += start;
            return verdict;
        };
        // A product of Grams of diagonal 1/n is brought back to that size; the entropy divides by the exact trace.
        const T size = static_cast<T>(n), scale = single ? T(1) : size;
        Verdict verdict = measure(nullptr, scale, alone);
        if (target) verdict.keep_first(measure(&common, scale * size, joint));
        if (verdict.kind != Verdict::Kind::fine) return verdict;
        between_tiles();
        start += count;
    }
    return {};
}

template Verdict pairs(const View<float>&, const View<float>*, const index_t*, index_t, const double*, index_t, double,
                       double, float*, float*, int, const std::function<void()>&);
template Verdict pairs(const View<double>&, const View<double>*, const index_t*, index_t, const double*, index_t,
                       double, double, double*, double*, int, const std::function<void()>&);

}  // namespace fastrenyi::cpu
