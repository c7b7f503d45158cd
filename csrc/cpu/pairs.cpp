#include "ops/pairs.hpp"

#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/product.hpp"
#include "ops/entropy.hpp"
#include "ops/spectrum.hpp"

namespace fastrenyi::cpu {
namespace {

/// Matrices to a tile: what is left of the workspace when each thread has its own copy of a matrix for the spectrum.
template <class T>
index_t tile_size(index_t n, int threads) {
    const index_t bytes = (n * n + n) * static_cast<index_t>(sizeof(T));
    return std::clamp<index_t>(pairs_workspace_bytes / bytes - 2 * threads, 1, 4096);
}

template <class T>
struct Tile {
    index_t n;
    std::vector<T> grams, spectra;

    Tile(index_t size, index_t order) : n(order), grams(size * n * n), spectra(size * n) {}
    T* gram(index_t k) { return grams.data() + k * n * n; }
};

/// Entropies of the first `count` joint Grams of the tile.
template <class T>
Verdict entropies(Tile<T>& tile, index_t count, const double* orders, index_t order_count, double epsilon, double unit,
                  T* out, int threads) {
    const View<T> grams = dense_square(tile.grams.data(), count, tile.n);
    if (order_count == 1 && orders[0] == 2.0) {
        collision_entropy(grams, unit, out, threads);
        return {};
    }
    spectrum(grams, tile.spectra.data(), threads);
    return entropy(tile.spectra.data(), count, tile.n, orders, order_count, epsilon, unit, out, threads);
}

}  // namespace

template <class T>
Verdict pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count,
              const double* orders, index_t order_count, double epsilon, double unit, T* alone, T* joint, int threads,
              const std::function<void()>& between_tiles) {
    const index_t n = maps.rows;
    threads = thread_count(threads);
    const index_t size = std::min(tile_size<T>(n, threads), pair_count);
    Tile<T> tile(size, n);
    std::vector<Verdict> verdicts(static_cast<std::size_t>(threads));
    Verdict first;

    for (index_t start = 0; start < pair_count; start += size) {
        const index_t count = std::min(size, pair_count - start);
        const auto multiply = [&](auto factors_of) {
            parallel_for(count, threads, [&](index_t k, int worker) {
                const std::vector<View<T>> factors = factors_of(k);
                if (!joint_gram(factors.data(), static_cast<index_t>(factors.size()), n, tile.gram(k)))
                    verdicts[worker].keep_first({Verdict::Kind::zero_trace, start + k, 0.0});
            });
        };
        const auto measure = [&](T* out) {
            for (const Verdict& verdict : verdicts) first.keep_first(verdict);
            if (first.kind != Verdict::Kind::fine) return;  // zero matrices have no spectrum to speak of
            Verdict found =
                entropies(tile, count, orders, order_count, epsilon, unit, out + start * order_count, threads);
            found.index += start;
            first.keep_first(found);
        };
        multiply([&](index_t k) {
            const index_t i = pairs[2 * (start + k)], j = pairs[2 * (start + k) + 1];
            std::vector<View<T>> factors{maps.matrix(i)};
            if (i != j) factors.push_back(maps.matrix(j));
            return factors;
        });
        measure(alone);
        if (target && first.kind == Verdict::Kind::fine) {
            multiply([&](index_t k) { return std::vector<View<T>>{dense_square(tile.gram(k), 1, n), *target}; });
            measure(joint);
        }
        if (first.kind != Verdict::Kind::fine) return first;
        between_tiles();
    }
    return first;
}

template Verdict pairs(const View<float>&, const View<float>*, const index_t*, index_t, const double*, index_t, double,
                       double, float*, float*, int, const std::function<void()>&);
template Verdict pairs(const View<double>&, const View<double>*, const index_t*, index_t, const double*, index_t,
                       double, double, double*, double*, int, const std::function<void()>&);

}  // namespace fastrenyi::cpu
