#include "ops/pairs.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/batched_spectra.hpp"
#include "cpu/collision_pairs.hpp"
#include "ops/entropy.hpp"

namespace fastrenyi::cpu {
namespace {

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

/// Rows that the target leaves on their own: of the maps, and of the target.
template <class T>
struct Block {
    Readable<T> maps, target;
};

}  // namespace

template <class T>
Verdict pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count,
              const double* orders, index_t order_count, double epsilon, double unit, T* alone, T* joint, int threads) {
    const index_t n = maps.rows;
    threads = thread_count(threads);
    if (order_count == 1 && orders[0] == 2.0)
        return collision_pairs(maps, target, pairs, pair_count, unit, alone, joint, threads);
    // The engine's workspace is per thread.
    threads = static_cast<int>(std::clamp<index_t>(pairs_workspace_bytes / engine<T>().workspace(n), 1, threads));
    // A tile is about a second's work: long enough to keep all threads busy, and its spectra are all that is kept.
    const index_t tile_size = std::clamp<index_t>(index_t(4'000'000'000) / (n * n * n), 64, 4096);
    std::vector<Lane<T>> items;
    std::vector<T> spectra(static_cast<std::size_t>(std::min(tile_size, pair_count) * n));
    const Readable<T> whole(maps);
    std::vector<Block<T>> blocks;
    if (target)
        for (const std::vector<index_t>& rows : connected_blocks(target->matrix(0))) {
            const auto* some = static_cast<index_t>(rows.size()) < n ? &rows : nullptr;
            blocks.push_back({Readable<T>(maps, some), Readable<T>(*target, some)});
        }

    for (index_t start = 0; start < pair_count;) {
        const bool single = pairs[2 * start] == pairs[2 * start + 1];
        index_t count = 0;  // pairs of this tile, all of single maps or all of two
        while (count < tile_size && start + count < pair_count &&
               (pairs[2 * (start + count)] == pairs[2 * (start + count) + 1]) == single)
            ++count;
        const auto spectra_of = [&](const Readable<T>& source, const Symmetric<T>* with, T scale, T* values) {
            items.clear();
            for (index_t k = start; k < start + count; ++k)
                items.push_back({source[pairs[2 * k]], single ? Symmetric<T>{nullptr, 0} : source[pairs[2 * k + 1]]});
            batched_spectra(items.data(), count, source.order(), with, scale, values, n, threads);
        };
        const auto measure = [&](T* out) {
            Verdict verdict = entropy(spectra.data(), count, n, orders, order_count, epsilon, unit,
                                      out + start * order_count, threads);
            verdict.index += start;
            return verdict;
        };
        // A product of Grams of diagonal 1/n is brought back to that size; the entropy divides by the exact trace.
        const T size = static_cast<T>(n), scale = single ? T(1) : size;
        spectra_of(whole, nullptr, scale, spectra.data());
        Verdict verdict = measure(alone);
        if (target) {
            // The spectrum of a block-diagonal product, as labels make it, is the union of its blocks' spectra.
            T* values = spectra.data();
            for (const Block<T>& block : blocks) {
                const Symmetric<T> common = block.target[0];
                spectra_of(block.maps, &common, scale * size, values);
                values += block.maps.order();
            }
            verdict.keep_first(measure(joint));
        }
        if (verdict.kind != Verdict::Kind::fine) return verdict;
        start += count;
    }
    return {};
}

template Verdict pairs(const View<float>&, const View<float>*, const index_t*, index_t, const double*, index_t, double,
                       double, float*, float*, int);
template Verdict pairs(const View<double>&, const View<double>*, const index_t*, index_t, const double*, index_t,
                       double, double, double*, double*, int);

}  // namespace fastrenyi::cpu
