#include "ops/gram.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/dispatch.hpp"
#include "cpu/fill.hpp"
#include "cpu/sample_sums.hpp"
#include "ops/inspect.hpp"

namespace fastrenyi::cpu {
namespace {

/// Of small matrices or few features the work beside the products is most of it; measured, see benchmarks/README.md.
bool by_products_is_quicker(index_t n, index_t d) {
    return n >= 32 && d >= 16;
}

struct Exponential {
    Core core;
    double scale, exponent, weight;
    void finish(double* row, index_t n) const {  // whole vectors: a row of sums has room after it
        engine<double>().exponentials(row, (n + 7) / 8 * 8, exponent, weight);
    }
    double diagonal(double) const { return weight; }
};

struct Power {
    int degree;
    double weight;
    void finish(double* row, index_t n) const {
        for (index_t j = 0; j < n; ++j) row[j] = std::pow(row[j], degree) * weight;
    }
    double diagonal(double) const { return weight; }
};

struct Euclidean {
    double scale;
    void finish(double* row, index_t n) const {
        for (index_t j = 0; j < n; ++j) row[j] = std::sqrt(row[j]) / scale;
    }
    double diagonal(double) const { return 0.0; }
};

struct Manhattan {
    double scale;
    void finish(double* row, index_t n) const {
        for (index_t j = 0; j < n; ++j) row[j] /= scale;
    }
    double diagonal(double) const { return 0.0; }
};

/// Calls with_rows(samples): as they lie if their features are contiguous, else a packed copy.
template <class T, class F>
void with_contiguous_rows(const View<T>& x, F with_rows) {
    if (x.col_stride == 1 || x.cols == 1) return with_rows(Samples<T>{x.data, x.row_stride, x.rows, x.cols});
    std::vector<T> packed(static_cast<std::size_t>(x.rows * x.cols));
    serial_for(x.rows, [&](index_t i) {
        for (index_t k = 0; k < x.cols; ++k) packed[i * x.cols + k] = x.at(i, k);
    });
    with_rows(Samples<T>{packed.data(), x.cols, x.rows, x.cols});
}

/// Rows (sqrt(gamma) x, sqrt(coef0)) scaled to length one: their inner products are the polynomial kernel of degree
/// one divided by the root of its diagonal. Scaling by the largest element first keeps squares in range.
template <class T>
std::vector<double> unit_rows(const View<T>& x, double gamma, double coef0) {
    const index_t d = x.cols + 1;
    std::vector<double> rows(static_cast<std::size_t>(x.rows * d));
    serial_for(x.rows, [&](index_t i) {
        double* row = &rows[i * d];
        // Lengths of the two parts, and then of the whole, relative to the largest element: no square leaves the range.
        double largest = 0.0, squares = 0.0;
        for (index_t k = 0; k < x.cols; ++k) largest = std::max(largest, std::abs(static_cast<double>(x.at(i, k))));
        const double unit = largest > 0.0 ? largest : 1.0;
        for (index_t k = 0; k < x.cols; ++k) {
            row[k] = x.at(i, k) / unit;
            squares += row[k] * row[k];
        }
        const double length = std::sqrt(gamma) * std::sqrt(squares), offset = std::sqrt(coef0) / unit;
        const double whole = std::hypot(length, offset);
        for (index_t k = 0; k < x.cols; ++k)
            row[k] = squares > 0.0 ? row[k] / std::sqrt(squares) * (length / whole) : 0.0;
        row[x.cols] = std::isinf(whole) ? 1.0 : offset / whole;
    });
    return rows;
}

/// Equal rows one, others zero, divided by n.
template <class T, class R>
void fill_delta(const View<T>& samples, R* out, int threads) {
    const index_t n = samples.rows;
    const R weight = static_cast<R>(1.0 / static_cast<double>(n));
    parallel_for(n, threads, [&](index_t i, int) {
        for (index_t j = i; j < n; ++j) {
            index_t k = 0;
            while (k < samples.cols && samples.at(i, k) == samples.at(j, k)) ++k;
            out[i * n + j] = out[j * n + i] = k == samples.cols ? weight : R(0);
        }
    });
}

/// The kernels of a distance between samples of type T. The width multiplies differences only where their squares could
/// leave the range: elsewhere a square that overflows, or comes to nothing, is a kernel of 0 or 1 in any case.
template <class T>
Exponential exponential(Kernel kind, double width, double weight) {
    constexpr double far = sizeof(T) == 4 ? 0x1p40 : 0x1p250, beyond = 0x1p1000;
    const bool squared = kind == Kernel::gaussian;
    const double scale = 1.0 / width, factor = squared ? -0.5 : -1.0;
    if (scale < 1.0 / beyond || scale > beyond)  // it overflows, or has lost digits: its root has not
        return {squared ? Core::far_squared : Core::far_absolute, 1.0 / std::sqrt(width), factor, weight};
    if (!squared) return {Core::absolute, scale, factor, weight};
    if (scale < 1.0 / far || scale > far) return {Core::scaled_squared, scale, factor, weight};
    return {Core::squared, 1.0, factor * scale * scale, weight};
}

/// A power of two that brings the largest magnitude near one; multiplying by it is exact.
template <class T>
double normalizer(const View<T>& x) {
    double largest = 0.0;
    serial_for(x.rows, [&](index_t i) {
        for (index_t k = 0; k < x.cols; ++k) largest = std::max(largest, std::abs(static_cast<double>(x.at(i, k))));
    });
    if (largest == 0.0) return 1.0;
    return std::ldexp(1.0, -std::clamp(std::ilogb(largest), -1000, 1000));
}

/// Many matrices: one thread each. Fewer matrices than threads: the threads share the blocks of each.
template <class T, class F>
void for_each_matrix(const View<T>& x, int threads, F body) {
    const index_t batch = x.batch;
    threads = thread_count(threads, 0.5 * batch * x.rows * x.rows * (3.0 * x.cols + 20.0));
    if (batch >= threads)
        parallel_for(batch, threads, [&](index_t b, int) { body(b, 1); });
    else
        for (index_t b = 0; b < batch; ++b) body(b, threads);
}

}  // namespace

template <class T>
bool gram(const View<T>& x, const KernelSpec& kernel, T* out, int threads) {
    const index_t n = x.rows, d = x.cols;
    std::atomic<bool> finite{true};
    const double weight = 1.0 / static_cast<double>(n);
    for_each_matrix(x, threads, [&](index_t b, int inner) {
        const View<T> samples = x.matrix(b);
        T* result = out + b * n * n;
        if (!finite || first_not_finite(samples, inner) >= 0) {  // which brings them into the cache
            finite = false;
            return;
        }
        if (kernel.kind == Kernel::polynomial) {
            const std::vector<double> rows = unit_rows(samples, kernel.gamma, kernel.coef0);
            const Samples<double> units{rows.data(), d + 1, n, d + 1};
            fill(Power{kernel.degree, weight}, ByFeatures<double>{units, Core::product, 1.0}, n, result, n, inner);
            return;
        }
        if (kernel.width[b] == 0.0) return fill_delta(samples, result, inner);
        const Exponential policy = exponential<T>(kernel.kind, kernel.width[b], weight);
        with_contiguous_rows(samples, [&](const Samples<T>& rows) {
            if (policy.core == Core::squared && by_products_is_quicker(n, d))
                fill(policy, ByProducts<T>(rows, inner), n, result, n, inner);
            else
                fill(policy, ByFeatures<T>{rows, policy.core, policy.scale}, n, result, n, inner);
        });
    });
    return finite;
}

template <class T>
void distances(const View<T>& x, Metric metric, T* out, int threads) {
    const index_t n = x.rows;
    for_each_matrix(x, threads, [&](index_t b, int inner) {
        const View<T> samples = x.matrix(b);
        const double scale = normalizer(samples);
        with_contiguous_rows(samples, [&](const Samples<T>& rows) {
            if (metric == Metric::euclidean)
                fill(Euclidean{scale}, ByFeatures<T>{rows, Core::scaled_squared, scale}, n, out + b * n * n, n, inner);
            else
                fill(Manhattan{scale}, ByFeatures<T>{rows, Core::absolute, scale}, n, out + b * n * n, n, inner);
        });
    });
}

template <class T>
void delta_gram(const View<T>& x, double* out, int threads) {
    for_each_matrix(x, threads,
                    [&](index_t b, int inner) { fill_delta(x.matrix(b), out + b * x.rows * x.rows, inner); });
}

template bool gram(const View<float>&, const KernelSpec&, float*, int);
template bool gram(const View<double>&, const KernelSpec&, double*, int);
template void distances(const View<float>&, Metric, float*, int);
template void distances(const View<double>&, Metric, double*, int);
template void delta_gram(const View<float>&, double*, int);
template void delta_gram(const View<double>&, double*, int);
template void delta_gram(const View<index_t>&, double*, int);

}  // namespace fastrenyi::cpu
