#include "ops/pairs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cuda/block_spectrum.hpp"
#include "cuda/by_rows.hpp"
#include "cuda/handle.hpp"
#include "cuda/renyi.hpp"
#include "ops/spectrum.hpp"

namespace fastrenyi::cuda {
namespace {

/// What is asked of all pairs. Task 2 t is pair t alone and task 2 t + 1 the same with the target; without a target,
/// task t is pair t.
template <class T>
struct Request {
    View<T> maps, target;  // target.data is null if there is none
    const index_t* pairs;
    double epsilon, unit;
    T *alone, *joint;
    index_t out_stride;
    Status* status;

    FASTRENYI_HD index_t tasks_each() const { return target.data ? 2 : 1; }
    FASTRENYI_HD index_t pair_of(index_t task) const { return task / tasks_each(); }
    FASTRENYI_HD T* out(index_t task) const {
        return (task % tasks_each() == 0 ? alone : joint) + pair_of(task) * out_stride;
    }
};

/// The entrywise product of up to three Grams, each brought to a diagonal near one. Rows and columns are exchanged,
/// which is the same for symmetric factors: neighbours in memory are in one column.
template <class T>
struct Product {
    View<T> factors[3];
    bool second, third;
    double size;

    FASTRENYI_DEVICE Product(const Request<T>& request, index_t task) : size(static_cast<double>(request.maps.rows)) {
        const index_t* const pair = request.pairs + 2 * request.pair_of(task);
        factors[0] = request.maps.matrix(pair[0]);
        factors[1] = request.maps.matrix(pair[1]);
        factors[2] = request.target;
        second = pair[0] != pair[1];
        third = task % request.tasks_each() == 1;
    }

    FASTRENYI_DEVICE double at(index_t i, index_t j) const {
        double product = size * factors[0].at(j, i);
        if (second) product *= size * factors[1].at(j, i);
        if (third) product *= size * factors[2].at(j, i);
        return product;
    }

    template <class Block>
    FASTRENYI_DEVICE double trace(Block& block) const {
        double sum = 0.0;
        for (index_t i = block.thread(); i < factors[0].rows; i += block.threads()) sum += at(i, i);
        return block.sum(sum);
    }
};

/// Says that a product has no entropy, its trace being zero.
template <class T, class Block>
FASTRENYI_DEVICE void give_up(Block& block, const Request<T>& request, index_t task, int count) {
    if (block.thread() == 0) report(block, request.status, request.pair_of(task), Finding::trace);
    for (int m = block.thread(); m < count; m += block.threads())
        request.out(task)[m] = std::numeric_limits<T>::quiet_NaN();
}

/// A block to a product: made, reduced, and its entropies taken.
template <class T, class Share>
struct Pairs {
    static constexpr int max_threads = Share::threads, min_blocks = Share::blocks;

    Request<T> request;
    Orders orders;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t task = block.index();
        const Product<T> product(request, task);
        const double trace = product.trace(block);
        if (trace == 0.0) return give_up(block, request, task, orders.count);
        const double inverse = 1.0 / trace;
        const TridiagonalWorkspace<T> room(block, static_cast<int>(request.maps.rows), Share{});
        const T* const values =
            spectrum_of<Share>(block, room, [&](int i, int j) { return static_cast<T>(product.at(i, j) * inverse); });
        const int warps = block.threads() / warp_size, warp = block.thread() / warp_size;
        entropies(block, values, room.n, orders, warp, warps, request.epsilon, request.unit, request.out(task),
                  request.pair_of(task), request.status);
    }
};

/// A block to a product at order 2, whose entropy needs no spectrum.
template <class T>
struct CollisionPairs {
    static constexpr int max_threads = 128;

    Request<T> request;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t task = block.index();
        const Product<T> product(request, task);
        const double trace = product.trace(block);
        if (trace == 0.0) return give_up(block, request, task, 1);
        const int lane = block.thread() % warp_size, warp = block.thread() / warp_size;
        const index_t n = request.maps.rows;
        double squares = 0.0;  // half of them: those below the diagonal, and half of those on it
        for (index_t j = warp; j < n; j += block.threads() / warp_size)
            for (index_t i = j + lane; i < n; i += warp_size) {
                const double element = product.at(i, j) / trace;
                squares += (i == j ? 0.5 : 1.0) * element * element;
            }
        squares = 2 * block.sum(squares);
        if (block.thread() == 0) *request.out(task) = static_cast<T>(-request.unit * std::log2(squares) + 0.0);
    }
};

/// Writes products too large for one block, from task `first` on; a block to some rows of one.
template <class T>
struct LargeProducts {
    static constexpr int max_threads = 256;
    static constexpr index_t rows_each = 8;

    Request<T> request;
    index_t first, pieces;  // blocks to a product
    T* to;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t k = block.index() / pieces, piece = block.index() % pieces, n = request.maps.rows;
        const Product<T> product(request, first + k);
        const double trace = product.trace(block), inverse = trace == 0.0 ? 0.0 : 1.0 / trace;
        const int lane = block.thread() % warp_size, warp = block.thread() / warp_size;
        const index_t end = (piece + 1) * rows_each < n ? (piece + 1) * rows_each : n;
        for (index_t i = piece * rows_each + warp; i < end; i += block.threads() / warp_size)
            for (index_t j = lane; j < n; j += warp_size)
                to[(k * n + i) * n + j] = static_cast<T>(product.at(j, i) * inverse);
    }
};

/// Entropies of the spectra of tasks from `first` on; a block of one warp to a spectrum. Zeros, the product having had
/// no trace, are reported as such.
template <class T>
struct LargeEntropies {
    static constexpr int max_threads = warp_size;

    Request<T> request;
    Orders orders;
    index_t first;
    const T* spectra;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t task = first + block.index(), n = request.maps.rows;
        entropies(block, spectra + block.index() * n, n, orders, 0, 1, request.epsilon, request.unit, request.out(task),
                  request.pair_of(task), request.status);
    }
};

/// Where the products of a tile, their spectra and cuSOLVER's workspace lie.
template <class T>
struct Tile {
    index_t count;
    std::size_t products, spectra;

    Tile(index_t tasks, index_t n) {
        const auto one = static_cast<index_t>(sizeof(T)) * n * n;
        count = std::min(tasks, std::max<index_t>(1, pairs_workspace_bytes / one));
        products = aligned(count * one);
        spectra = aligned(count * n * static_cast<index_t>(sizeof(T)));
    }
    static std::size_t aligned(index_t bytes) { return static_cast<std::size_t>((bytes + 255) / 256 * 256); }
};

template <class T>
void large_pairs(const Request<T>& request, index_t tasks, const double* orders, index_t order_count, void* workspace,
                 std::size_t workspace_bytes, Stream stream) {
    const index_t n = request.maps.rows;
    const Tile<T> tile(tasks, n);
    char* const memory = static_cast<char*>(workspace);
    auto* const products = reinterpret_cast<T*>(memory);
    auto* const spectra = reinterpret_cast<T*>(memory + tile.products);
    const std::size_t taken = tile.products + tile.spectra;
    const index_t pieces = (n + LargeProducts<T>::rows_each - 1) / LargeProducts<T>::rows_each;
    for (index_t first = 0; first < tasks; first += tile.count) {
        const index_t count = std::min(tile.count, tasks - first);
        launch(LargeProducts<T>{request, first, pieces, products}, count * pieces, LargeProducts<T>::max_threads, 0,
               stream);
        solve(products, count, n, false, spectra, memory + taken, workspace_bytes - taken, stream);
        for (index_t m = 0; m < order_count; m += Orders::most) {
            Request<T> some = request;
            some.alone += m;
            if (some.joint) some.joint += m;
            launch(LargeEntropies<T>{some, some_orders(orders, order_count, m), first, spectra}, count, warp_size, 0,
                   stream);
        }
    }
}

template <class T>
void block_pairs(const Request<T>& request, index_t tasks, const double* orders, index_t order_count, Stream stream) {
    const index_t n = request.maps.rows;
    with_shares<T>(n, [&](auto share) {
        using Share = decltype(share);
        constexpr std::size_t room = TridiagonalWorkspace<T>::bytes(Share{});
        for (index_t m = 0; m < order_count; m += Orders::most) {  // more orders than travel at once are rare
            Request<T> some = request;
            some.alone += m;
            if (some.joint) some.joint += m;
            launch(Pairs<T, Share>{some, some_orders(orders, order_count, m)}, tasks, Share::threads, room, stream);
        }
    });
}

}  // namespace

template <class T>
std::size_t pairs_workspace(index_t pair_count, index_t n, bool has_target) {
    if (pair_count == 0 || n <= block_order<T>()) return 0;
    const index_t tasks = pair_count * (has_target ? 2 : 1);
    const Tile<T> tile(tasks, n);
    return tile.products + tile.spectra + solve_workspace_of_pieces<T>(tasks, tile.count, n);
}

template <class T>
void pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count, const double* orders,
           index_t order_count, double epsilon, double unit, T* alone, T* joint, void* workspace,
           std::size_t workspace_bytes, Status* status, Stream stream) {
    if (pair_count == 0 || order_count == 0) return;
    const Request<T> request{
        by_rows(maps), target ? by_rows(target->matrix(0)) : View<T>{}, pairs, epsilon, unit, alone, joint, order_count,
        status};
    const index_t n = maps.rows, tasks = pair_count * request.tasks_each();
    if (order_count == 1 && orders[0] == 2.0)
        return launch(CollisionPairs<T>{request}, tasks, n <= 32 ? 32 : CollisionPairs<T>::max_threads, 0, stream);
    if (n > block_order<T>())
        return large_pairs(request, tasks, orders, order_count, workspace, workspace_bytes, stream);
    block_pairs(request, tasks, orders, order_count, stream);
}

template std::size_t pairs_workspace<float>(index_t, index_t, bool);
template std::size_t pairs_workspace<double>(index_t, index_t, bool);
template void pairs(const View<float>&, const View<float>*, const index_t*, index_t, const double*, index_t, double,
                    double, float*, float*, void*, std::size_t, Status*, Stream);
template void pairs(const View<double>&, const View<double>*, const index_t*, index_t, const double*, index_t, double,
                    double, double*, double*, void*, std::size_t, Status*, Stream);

}  // namespace fastrenyi::cuda
