#include "cpu/band.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/dispatch.hpp"
#include "cpu/lapack.hpp"
#include "cpu/subnormals.hpp"

namespace fastrenyi::cpu {
namespace {

constexpr index_t width = band_width;
constexpr index_t tile = 256;  // rows and columns that stay in cache between an update and a product

/// c (m, n) = alpha a b + beta c of column-major matrices.
template <class T>
void multiply(char a_transposed, char b_transposed, index_t m, index_t n, index_t k, T alpha, const T* a, index_t lda,
              const T* b, index_t ldb, T beta, T* c, index_t ldc) {
    lapack<T>().gemm(&a_transposed, &b_transposed, pass(static_cast<int>(m)), pass(static_cast<int>(n)),
                     pass(static_cast<int>(k)), &alpha, const_cast<T*>(a), pass(static_cast<int>(lda)),
                     const_cast<T*>(b), pass(static_cast<int>(ldb)), &beta, c, pass(static_cast<int>(ldc)));
}

/// Q' A Q for one panel of columns after the other, Q = I - V T V'. With Y = A V T and W = Y - V T' V' Y / 2 that is
/// A - V W' - W V'. It is made to tiles on the next trip over the matrix, which multiplies them with the next V.
template <class T>
class Reduction {
  public:
    Reduction(T* a, index_t n, index_t ld, T* band, int threads)
        : a_(a),
          n_(n),
          ld_(ld),
          band_(band),
          threads_(threads),
          tiles_((n + tile - 1) / tile),
          v_(size(ld * width)),
          y_(size(ld * width)),
          left_(size(2 * width * ld)),
          right_(size(2 * width * ld)),
          t_(size(width * width)),
          parts_(size(tiles_ * tiles_ * tile * width)) {}

    void run() {
        for (index_t i = 0; i < n_; i += width) {
            update(i, n_ - i, i, width);
            if (i + width < n_) factorise(i);
            keep(i);
            if (i + width >= n_) return;
            multiply_tiles(i + width);
            prepare_update(i + width);
        }
    }

  private:
    static std::size_t size(index_t count) { return static_cast<std::size_t>(count); }

    /// A -= V W' + W V' in some rows and columns, where that waits.
    void update(index_t row, index_t rows, index_t column, index_t columns) {
        if (!waiting_) return;
        multiply('N', 'T', rows, columns, 2 * width, T(-1), &left_[size(row)], ld_, &right_[size(column)], ld_, T(1),
                 a_ + column * ld_ + row, ld_);
    }

    /// QR of what is below the band in the columns from i on.
    void factorise(index_t i) {
        const index_t start = i + width, rows = n_ - start;
        T* const panel = a_ + i * ld_ + start;
        int info = 0;
        std::fill(t_.begin(), t_.end(), T(0));
        lapack<T>().geqrt3(pass(static_cast<int>(rows)), pass(static_cast<int>(width)), panel,
                           pass(static_cast<int>(ld_)), t_.data(), pass(static_cast<int>(width)), &info);
        for (index_t j = 0; j < width; ++j) {
            std::fill_n(&t_[size(j * width + j + 1)], width - j - 1, T(0));
            T* const v = &v_[size(j * ld_ + start)];
            std::fill_n(v, j, T(0));
            v[j] = T(1);
            std::copy(panel + j * ld_ + j + 1, panel + j * ld_ + rows, v + j + 1);
        }
    }

    void keep(index_t i) {
        for (index_t j = i; j < i + width; ++j)
            std::copy_n(a_ + j * (ld_ + 1), std::min(width + 1, n_ - j), band_ + j * band_stride);
    }

    /// y = A v for the rows and columns from `start` on, once A is up to date. A tile below the diagonal stands for its
    /// mirror image as well; what each adds to y is kept apart, and summed in an order that no thread changes.
    void multiply_tiles(index_t start) {
        const index_t first = start / tile, across = tiles_ - first;
        std::vector<std::pair<index_t, index_t>> pieces;
        for (index_t j = first; j < tiles_; ++j)
            for (index_t i = j; i < tiles_; ++i) pieces.emplace_back(i, j);
        const auto from = [&](index_t i) { return std::max(start, i * tile); };
        const auto count = [&](index_t i) { return std::min(n_, (i + 1) * tile) - from(i); };
        const auto part = [&](index_t i, index_t j) { return &parts_[size((i * tiles_ + j) * tile * width)]; };
        const double order = static_cast<double>(n_ - start);
        const auto threads = [&](double operations) { return thread_count(threads_, operations); };
        parallel_for(static_cast<index_t>(pieces.size()), threads(2.0 * width * order * order), [&](index_t k, int) {
            const Subnormals are(Subnormals::zeros);
            const auto [i, j] = pieces[size(k)];
            const index_t row = from(i), column = from(j), rows = count(i), columns = count(j);
            const T* const own = a_ + column * ld_ + row;
            update(row, rows, column, columns);
            multiply('N', 'N', rows, width, columns, T(1), own, ld_, &v_[size(column)], ld_, T(0), part(i, j), tile);
            if (i != j)
                multiply('T', 'N', columns, width, rows, T(1), own, ld_, &v_[size(row)], ld_, T(0), part(j, i), tile);
        });
        parallel_for(across, threads(1.0 * width * order * across), [&](index_t k, int) {
            const Subnormals are(Subnormals::zeros);
            const index_t i = first + k;
            for (index_t c = 0; c < width; ++c) {
                T* const sum = &y_[size(c * ld_ + from(i))];
                std::fill_n(sum, count(i), T(0));
                for (index_t j = first; j < tiles_; ++j) {
                    const T* const added = part(i, j) + c * tile;
                    for (index_t r = 0; r < count(i); ++r) sum[r] += added[r];
                }
            }
        });
    }

    /// [V W] and [W V], of which the update is the product.
    void prepare_update(index_t start) {
        const index_t rows = n_ - start;
        T* const v = &v_[size(start)];
        T *const left = &left_[size(start)], *const right = &right_[size(start)], *const w = left + width * ld_;
        T small[width * width], inner[width * width];
        multiply('N', 'N', rows, width, width, T(1), &y_[size(start)], ld_, t_.data(), width, T(0), w, ld_);
        multiply('T', 'N', width, width, rows, T(1), v, ld_, w, ld_, T(0), small, width);
        multiply('T', 'N', width, width, width, T(1), t_.data(), width, small, width, T(0), inner, width);
        multiply('N', 'N', rows, width, width, T(-0.5), v, ld_, inner, width, T(1), w, ld_);
        for (index_t j = 0; j < width; ++j) {
            std::copy_n(v + j * ld_, rows, left + j * ld_);
            std::copy_n(w + j * ld_, rows, right + j * ld_);
            std::copy_n(v + j * ld_, rows, right + (width + j) * ld_);
        }
        waiting_ = true;
    }

    T* a_;
    index_t n_, ld_;
    T* band_;
    int threads_;
    index_t tiles_;
    std::vector<T> v_, y_, left_, right_, t_, parts_;
    bool waiting_ = false;
};

}  // namespace

template <class T>
void reduce_to_band(T* a, index_t n, index_t ld, T* band, int threads) {
    Reduction<T>(a, n, ld, band, threads).run();
}

/// Columns are taken in groups of `sweeps`, each group by one thread, behind the group before.
template <class T>
void reduce_band(T* band, index_t n, int threads) {
    constexpr index_t at_once = 16;  // steps between two looks at how far the others are
    const index_t groups = (n - 2 + sweeps - 1) / sweeps;
    if (n < 3) return;
    std::vector<std::atomic<index_t>> made(static_cast<std::size_t>(groups));
    std::atomic<index_t> next{0};
    threads = static_cast<int>(std::min<index_t>(threads, n / (4 * at_once * band_width) + 1));
    parallel_for(threads, threads, [&](index_t, int) {
        const Subnormals are(Subnormals::zeros);
        T state[chase_state];
        // A group is taken after the one before it, by a thread that is at work: none waits for what nobody does.
        for (index_t g; (g = next++) < groups;) {
            const index_t first = g * sweeps, steps = (n - 2 - first) / band_width + 1 + sweep_lag * sweeps;
            for (index_t from = 0; from < steps; from += at_once) {
                const index_t to = std::min(from + at_once, steps);
                stop_if_asked();
                while (g > 0 && made[static_cast<std::size_t>(g - 1)].load(std::memory_order_acquire) <
                                    to + sweep_lag * sweeps) {
                    stop_if_asked();
                    std::this_thread::yield();
                }
                engine<T>().chase(band, n, first, from, to, state);
                made[static_cast<std::size_t>(g)].store(to, std::memory_order_release);
            }
            made[static_cast<std::size_t>(g)].store(n + 2 * sweep_lag * sweeps + at_once, std::memory_order_release);
        }
    });
}

template void reduce_band(float*, index_t, int);
template void reduce_band(double*, index_t, int);
template void reduce_to_band(float*, index_t, index_t, float*, int);
template void reduce_to_band(double*, index_t, index_t, double*, int);

}  // namespace fastrenyi::cpu
