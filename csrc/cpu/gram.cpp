#include "ops/gram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/parallel.hpp"

namespace fastrenyi::cpu {
namespace {

constexpr index_t block_rows = 16;       // rows that share one pass over the others
constexpr index_t block_features = 512;  // features of a block that stay in cache during that pass

// A policy says how two samples are compared: core() adds one feature to the sum, epilog() turns the sum into an
// entry. `scale` multiplies differences before anything can overflow.

struct SquaredDifference {
    double scale;
    double core(double a, double b) const {
        const double difference = (a - b) * scale;
        return difference * difference;
    }
};

struct AbsoluteDifference {
    double scale;
    double core(double a, double b) const { return std::abs((a - b) * scale); }
};

struct Product {
    double core(double a, double b) const { return a * b; }
};

template <class Core>
struct ExponentialOf : Core {
    double exponent, weight;
    double epilog(double sum) const { return std::exp(exponent * sum) * weight; }
};

struct PowerOf : Product {
    int degree;
    double weight;
    double epilog(double sum) const { return std::pow(sum, degree) * weight; }
};

struct EuclideanOf : SquaredDifference {
    double epilog(double sum) const { return std::sqrt(sum) / scale; }
};

struct ManhattanOf : AbsoluteDifference {
    double epilog(double sum) const { return sum / scale; }
};

/// Sums of one row against four others: the row is loaded once for all four.
template <class In, class Policy>
void add_four(const Policy& policy, const In* x, const In* const* y, index_t d, double* sums) {
    const In *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (index_t k = 0; k < d; ++k) {
        const double value = x[k];
        s0 += policy.core(value, y0[k]);
        s1 += policy.core(value, y1[k]);
        s2 += policy.core(value, y2[k]);
        s3 += policy.core(value, y3[k]);
    }
    sums[0] += s0;
    sums[1] += s1;
    sums[2] += s2;
    sums[3] += s3;
}

/// Rows [first, first + 16) of one matrix against all rows from `first` on, and the mirror image.
/// `rows` are contiguous features with a stride between samples.
template <class In, class T, class Policy>
void fill_block(const Policy& policy, const In* rows, index_t row_stride, index_t n, index_t d, index_t first,
                double diagonal, T* out) {
    const index_t height = std::min(block_rows, n - first), width = n - first;
    std::vector<double> sums(static_cast<std::size_t>(height * (width + 3)), 0.0);
    for (index_t k = 0; k < d; k += block_features) {
        const index_t features = std::min(block_features, d - k);
        for (index_t j = 0; j < width; j += 4) {
            const In* others[4];
            for (index_t q = 0; q < 4; ++q) others[q] = rows + (first + std::min(j + q, width - 1)) * row_stride + k;
            // Above the diagonal only: row i needs the columns j > i.
            for (index_t i = 0; i < std::min(height, j + 3); ++i)
                add_four(policy, rows + (first + i) * row_stride + k, others, features, &sums[i * (width + 3) + j]);
        }
    }
    for (index_t i = 0; i < height; ++i) {
        const index_t row = first + i;
        out[row * n + row] = static_cast<T>(diagonal);
        for (index_t j = i + 1; j < width; ++j) {
            const T entry = static_cast<T>(policy.epilog(sums[i * (width + 3) + j]));
            out[row * n + first + j] = entry;
            out[(first + j) * n + row] = entry;
        }
    }
}

template <class In, class T, class Policy>
void fill(const Policy& policy, const In* rows, index_t row_stride, index_t n, index_t d, double diagonal, T* out,
          int threads) {
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](index_t block, int) {
        fill_block(policy, rows, row_stride, n, d, block * block_rows, diagonal, out);
    });
}

/// Calls with_rows(pointer, row_stride): the samples as they lie if their features are contiguous, else a packed copy.
template <class T, class F>
void with_contiguous_rows(const View<T>& x, F with_rows) {
    if (x.col_stride == 1 || x.cols == 1) return with_rows(x.data, x.row_stride);
    std::vector<T> packed(static_cast<std::size_t>(x.rows * x.cols));
    for (index_t i = 0; i < x.rows; ++i)
        for (index_t k = 0; k < x.cols; ++k) packed[i * x.cols + k] = x.at(i, k);
    with_rows(packed.data(), x.cols);
}

/// Rows (sqrt(gamma) x, sqrt(coef0)) scaled to length one: their inner products are the polynomial kernel of degree
/// one divided by the root of its diagonal. Scaling by the largest element first keeps squares in range.
template <class T>
std::vector<double> unit_rows(const View<T>& x, double gamma, double coef0) {
    const index_t d = x.cols + 1;
    std::vector<double> rows(static_cast<std::size_t>(x.rows * d));
    for (index_t i = 0; i < x.rows; ++i) {
        double* row = &rows[i * d];
        for (index_t k = 0; k < x.cols; ++k) row[k] = std::sqrt(gamma) * x.at(i, k);
        row[x.cols] = std::sqrt(coef0);
        double largest = 0.0, squares = 0.0;
        for (index_t k = 0; k < d; ++k) largest = std::max(largest, std::abs(row[k]));
        for (index_t k = 0; k < d; ++k) row[k] /= largest;
        for (index_t k = 0; k < d; ++k) squares += row[k] * row[k];
        for (index_t k = 0; k < d; ++k) row[k] /= std::sqrt(squares);
    }
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

/// A power of two that brings the largest magnitude near one; multiplying by it is exact.
template <class T>
double normalizer(const View<T>& x) {
    double largest = 0.0;
    for (index_t i = 0; i < x.rows; ++i)
        for (index_t k = 0; k < x.cols; ++k) largest = std::max(largest, std::abs(static_cast<double>(x.at(i, k))));
    if (largest == 0.0) return 1.0;
    return std::ldexp(1.0, -std::clamp(std::ilogb(largest), -1000, 1000));
}

/// Many matrices: one thread each. Fewer matrices than threads: the threads share the blocks of each.
template <class F>
void for_each_matrix(index_t batch, int threads, F body) {
    threads = thread_count(threads);
    if (batch >= threads)
        parallel_for(batch, threads, [&](index_t b, int) { body(b, 1); });
    else
        for (index_t b = 0; b < batch; ++b) body(b, threads);
}

}  // namespace

template <class T>
void gram(const View<T>& x, const KernelSpec& kernel, T* out, int threads) {
    const index_t n = x.rows, d = x.cols;
    const double weight = 1.0 / static_cast<double>(n);
    for_each_matrix(x.batch, threads, [&](index_t b, int inner) {
        const View<T> samples = x.matrix(b);
        T* result = out + b * n * n;
        if (kernel.kind == Kernel::polynomial) {
            const std::vector<double> rows = unit_rows(samples, kernel.gamma, kernel.coef0);
            fill(PowerOf{{}, kernel.degree, weight}, rows.data(), d + 1, n, d + 1, weight, result, inner);
            return;
        }
        if (kernel.width[b] == 0.0) return fill_delta(samples, result, inner);
        // A width so small that its inverse overflows must still make 0 of a difference of 0.
        const double scale = std::min(1.0 / kernel.width[b], std::numeric_limits<double>::max());
        with_contiguous_rows(samples, [&](const T* rows, index_t stride) {
            if (kernel.kind == Kernel::gaussian)
                fill(ExponentialOf<SquaredDifference>{{scale}, -0.5, weight}, rows, stride, n, d, weight, result,
                     inner);
            else
                fill(ExponentialOf<AbsoluteDifference>{{scale}, -1.0, weight}, rows, stride, n, d, weight, result,
                     inner);
        });
    });
}

template <class T>
void distances(const View<T>& x, Metric metric, T* out, int threads) {
    const index_t n = x.rows, d = x.cols;
    for_each_matrix(x.batch, threads, [&](index_t b, int inner) {
        const View<T> samples = x.matrix(b);
        const double scale = normalizer(samples);
        with_contiguous_rows(samples, [&](const T* rows, index_t stride) {
            if (metric == Metric::euclidean)
                fill(EuclideanOf{{scale}}, rows, stride, n, d, 0.0, out + b * n * n, inner);
            else
                fill(ManhattanOf{{scale}}, rows, stride, n, d, 0.0, out + b * n * n, inner);
        });
    });
}

template <class T>
void delta_gram(const View<T>& x, double* out, int threads) {
    for_each_matrix(x.batch, threads,
                    [&](index_t b, int inner) { fill_delta(x.matrix(b), out + b * x.rows * x.rows, inner); });
}

template void gram(const View<float>&, const KernelSpec&, float*, int);
template void gram(const View<double>&, const KernelSpec&, double*, int);
template void distances(const View<float>&, Metric, float*, int);
template void distances(const View<double>&, Metric, double*, int);
template void delta_gram(const View<float>&, double*, int);
template void delta_gram(const View<double>&, double*, int);
template void delta_gram(const View<index_t>&, double*, int);

}  // namespace fastrenyi::cpu
