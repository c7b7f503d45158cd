#include "ops/entropy.hpp"

#include <cmath>

#include "cuda/by_rows.hpp"
#include "cuda/launch.hpp"
#include "cuda/renyi.hpp"

namespace fastrenyi::cuda {
namespace {

constexpr int block_threads = 128, block_warps = block_threads / warp_size;

/// A warp to an entropy.
template <class T>
struct Entropy {
    static constexpr int max_threads = block_threads;

    const T* spectra;
    index_t batch, n;
    Orders orders;
    double epsilon, unit;
    T* out;
    index_t out_stride;
    Status* status;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const index_t task = block.index() * block_warps + block.thread() / warp_size, b = task / orders.count;
        if (b >= batch) return;
        entropies(block, spectra + b * n, n, orders, static_cast<int>(task % orders.count), orders.count, epsilon, unit,
                  out + b * out_stride, b, status);
    }
};

/// A block to a matrix.
template <class T>
struct CollisionEntropy {
    static constexpr int max_threads = 512;

    View<T> a;
    double unit;
    T* out;

    template <class Block>
    FASTRENYI_DEVICE void operator()(Block& block) const {
        const View<T> matrix = a.matrix(block.index());
        const int lane = block.thread() % warp_size, warp = block.thread() / warp_size;
        const int warps = block.threads() / warp_size;
        double squares = 0.0, trace = 0.0;
        for (index_t i = warp; i < a.rows; i += warps)
            for (index_t j = lane; j < a.cols; j += warp_size) {
                const double element = matrix.at(i, j);
                squares += element * element;
                if (i == j) trace += element;
            }
        squares = block.sum(squares);
        trace = block.sum(trace);
        if (block.thread() == 0)
            out[block.index()] = static_cast<T>(-unit * std::log2(squares / (trace * trace)) + 0.0);
    }
};

}  // namespace

template <class T>
void entropy(const T* spectra, index_t batch, index_t n, const double* orders, index_t order_count, double epsilon,
             double unit, T* out, Status* status, Stream stream) {
    for (index_t first = 0; first < order_count; first += Orders::most) {
        const Orders some = some_orders(orders, order_count, first);
        const index_t blocks = (batch * some.count + block_warps - 1) / block_warps;
        launch(Entropy<T>{spectra, batch, n, some, epsilon, unit, out + first, order_count, status}, blocks,
               block_threads, 0, stream);
    }
}

template <class T>
void collision_entropy(const View<T>& a, double unit, T* out, Stream stream) {
    const int threads = a.rows <= 128 ? 128 : a.rows <= 512 ? 256 : 512;
    launch(CollisionEntropy<T>{by_rows(a), unit, out}, a.batch, threads, 0, stream);
}

template void entropy(const float*, index_t, index_t, const double*, index_t, double, double, float*, Status*, Stream);
template void entropy(const double*, index_t, index_t, const double*, index_t, double, double, double*, Status*,
                      Stream);
template void collision_entropy(const View<float>&, double, float*, Stream);
template void collision_entropy(const View<double>&, double, double*, Stream);

}  // namespace fastrenyi::cuda
