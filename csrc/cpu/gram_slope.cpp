#include "ops/gram_slope.hpp"

#include <algorithm>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/collision.hpp"
#include "cpu/dispatch.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {
namespace {

/// out (height, d) = weights (height, n) z (n, d) * factor, all row by row.
template <class T>
void multiply(const T* weights, const T* z, index_t height, index_t n, index_t d, T factor, T* out) {
    char plain = 'N';
    int rows = static_cast<int>(d), cols = static_cast<int>(height), inner = static_cast<int>(n);
    T zero = 0;
    gemm<T>()(&plain, &plain, &rows, &cols, &inner, &factor, const_cast<T*>(z), &rows, const_cast<T*>(weights), &inner,
              &zero, out, &rows);
}

}  // namespace

template <class T>
void gram_slope(const View<T>& x, Kernel kind, const double* width, const T* a, const T* grad, T* out, int threads) {
    const index_t batch = x.batch, n = x.rows, d = x.cols;
    threads = thread_count(threads, 2.0 * batch * n * n * (d + 4));
    // Differences over the width, from the first sample; Laplacian signs need no more than the samples.
    const Aligned all(batch * n * d * index_t(sizeof(T)));
    T* const z = all.as<T>();
    for_each_block(batch, n, threads, [&](index_t b, index_t first, index_t last, int) {
        const View<T> samples = x.matrix(b);
        const T inverse = static_cast<T>(kind == Kernel::gaussian && width[b] > 0.0 ? 1.0 / width[b] : 1.0);
        for (index_t i = first; i < last; ++i)
            for (index_t k = 0; k < d; ++k) z[(b * n + i) * d + k] = (samples.at(i, k) - samples.at(0, k)) * inverse;
    });
    std::vector<Aligned> rooms;
    for (int t = 0; t < threads; ++t) rooms.emplace_back(block_rows * n * index_t(sizeof(T)));
    const BlasThreads hold(1);
    for_each_block(batch, n, threads, [&](index_t b, index_t first, index_t last, int worker) {
        const index_t height = last - first;
        T* const result = out + (b * n + first) * d;
        if (width[b] == 0.0 || kind == Kernel::laplacian) std::fill_n(result, height * d, T(0));
        if (width[b] == 0.0) return;
        T* const weights = rooms[static_cast<std::size_t>(worker)].template as<T>();
        engine<T>().weigh_rows(grad + b * n * n, a + b * n * n, n, first, height, weights);
        const T* const own = z + b * n * d;
        const T inverse = static_cast<T>(1.0 / width[b]);
        if (kind == Kernel::gaussian) return multiply(weights, own, height, n, d, inverse, result);
        for (index_t i = 0; i < height; ++i)
            for (index_t j = 0; j < n; ++j)
                engine<T>().add_signs(own + (first + i) * d, own + j * d, -inverse * weights[i * n + j], result + i * d,
                                      d);
    });
}

template void gram_slope(const View<float>&, Kernel, const double*, const float*, const float*, float*, int);
template void gram_slope(const View<double>&, Kernel, const double*, const double*, const double*, double*, int);

}  // namespace fastrenyi::cpu
