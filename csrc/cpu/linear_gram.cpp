#include "ops/linear_gram.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {
namespace {

/// Rows and columns of a tile of products: enough for BLAS, few enough that of a diagonal tile, made whole, little is
/// made twice. Of a large matrix more, as BLAS reads the samples anew for each.
constexpr index_t tile_of(index_t order) {
    return order > 1024 ? 512 : 128;
}

/// What a difference of two means may come to where it is zero, in units of the largest number.
template <class T>
constexpr T rounding = 8 * std::numeric_limits<T>::epsilon();

/// Combines f(x[k]) by `combine`, in an order that leaves vectors to the compiler: lane by lane, then the lanes.
template <class R, class T, class F, class Combine>
R reduced(const T* x, index_t count, F f, Combine combine) {
    constexpr index_t lanes = 16;
    R found[lanes] = {};
    index_t k = 0;
    for (; k + lanes <= count; k += lanes)
        for (index_t l = 0; l < lanes; ++l) found[l] = combine(found[l], f(x[k + l]));
    for (; k < count; ++k) found[0] = combine(found[0], f(x[k]));
    return std::accumulate(found + 1, found + lanes, found[0], combine);
}

template <class T>
T largest(const T* x, index_t count) {
    return reduced<T>(
        x, count, [](T value) { return std::abs(value); }, [](T one, T other) { return one < other ? other : one; });
}

template <class T>
double squares(const T* x, index_t count) {
    return reduced<double>(x, count, [](T value) { return static_cast<double>(value) * value; }, std::plus<double>());
}

template <class T>
bool finite(const T* x, index_t count) {
    return reduced<T>(x, count, [](T value) { return value * T(0); }, std::plus<T>()) == T(0);  // or else NaN
}

/// The samples of one set, (n, d), contiguous, as their products are taken.
template <class T>
class Samples {
  public:
    /// False if one is not finite.
    bool prepare(const View<T>& x, index_t n, const Linear& how) {
        n_ = n;
        d_ = x.cols;
        values_.resize(static_cast<std::size_t>(n * d_));
        if (!scaled(x)) return false;
        if (how.samples) subtract_mean();
        trace_ = 0.0;
        T most(0);
        serial_for(n_, [&](index_t i) {
            T* z = row(i);
            if (how.features) subtract_mean_of(z);
            const T longest = largest(z, d_);
            most = std::max(most, longest);
            if (how.normalized) normalize(z, longest, how.samples || how.features ? rounding<T> : T(0));
            trace_ += squares(z, d_);
        });
        if ((how.samples || how.features) && !(most > rounding<T>)) trace_ = 0.0;
        return true;
    }

    /// |X|^2; zero if nothing is left of the samples.
    double trace() const { return trace_; }
    T* data() { return values_.data(); }

  private:
    T* row(index_t i) { return values_.data() + i * d_; }

    /// Copies them, divided by a power of two; false if one is not finite.
    bool scaled(const View<T>& x) {
        T most(0);
        bool all_finite = true;
        serial_for(n_, [&](index_t i) {
            T* z = row(i);
            const T* source = x.row(i);
            if (x.col_stride == 1)
                std::copy(source, source + d_, z);
            else
                for (index_t j = 0; j < d_; ++j) z[j] = source[j * x.col_stride];
            all_finite &= finite(z, d_);
            most = std::max(most, largest(z, d_));
        });
        if (!all_finite) return false;
        if (most == T(0)) return true;
        int exponent;
        std::frexp(most, &exponent);
        const T power = std::ldexp(T(1), exponent - 1), inverse = 1 / power;
        const bool invertible = std::isfinite(inverse);
        serial_for(n_, [&](index_t i) {
            T* z = row(i);
            if (invertible)
                for (index_t j = 0; j < d_; ++j) z[j] *= inverse;
            else
                for (index_t j = 0; j < d_; ++j) z[j] /= power;
        });
        return true;
    }

    void subtract_mean() {
        const std::vector<T> first(row(0), row(0) + d_);
        std::vector<double> sums(static_cast<std::size_t>(d_), 0.0);
        serial_for(n_, [&](index_t i) {
            T* z = row(i);
            for (index_t j = 0; j < d_; ++j)
                sums[static_cast<std::size_t>(j)] += z[j] -= first[static_cast<std::size_t>(j)];
        });
        std::vector<T> mean;
        mean.reserve(sums.size());
        for (const double sum : sums) mean.push_back(static_cast<T>(sum / static_cast<double>(n_)));
        serial_for(n_, [&](index_t i) {
            T* z = row(i);
            for (index_t j = 0; j < d_; ++j) z[j] -= mean[static_cast<std::size_t>(j)];
        });
    }

    void subtract_mean_of(T* z) {
        const T first = z[0];
        for (index_t j = 0; j < d_; ++j) z[j] -= first;
        const double sum =
            reduced<double>(z, d_, [](T value) { return static_cast<double>(value); }, std::plus<double>());
        const T mean = static_cast<T>(sum / static_cast<double>(d_));
        for (index_t j = 0; j < d_; ++j) z[j] -= mean;
    }

    void normalize(T* z, T longest, T nothing) {
        if (!(longest > nothing)) return std::fill(z, z + d_, T(0));
        for (index_t j = 0; j < d_; ++j) z[j] /= longest;
        const T length = static_cast<T>(std::sqrt(squares(z, d_)));
        for (index_t j = 0; j < d_; ++j) z[j] /= length;
    }

    index_t n_ = 0, d_ = 0;
    std::vector<T> values_;
    double trace_ = 0.0;
};

/// The products of the samples of a set, or of its features, over their trace: a matrix of order m within one of rows
/// `ld` apart, tile by tile.
template <class T>
class Products {
  public:
    Products(Samples<T>& samples, index_t n, index_t d, bool of_samples, T* out, index_t ld)
        : z_(samples.data()),
          m_(of_samples ? n : d),
          tile_(tile_of(m_)),
          inner_(static_cast<int>(of_samples ? d : n)),
          d_(d),
          ld_(ld),
          of_samples_(of_samples),
          scale_(static_cast<T>(1.0 / samples.trace())),
          out_(out) {}

    index_t tiles() const {
        const index_t along = (m_ + tile_ - 1) / tile_;
        return along * (along + 1) / 2;
    }

    /// Makes a tile on or above the diagonal, and its mirror image.
    void make(index_t k) const {
        index_t column = 0;  // of tiles; that of the diagonal is the last of its column
        while (k > column) k -= ++column;
        const index_t i = k * tile_, j = column * tile_;
        int rows = static_cast<int>(std::min(tile_, m_ - i)), columns = static_cast<int>(std::min(tile_, m_ - j));
        const index_t step = of_samples_ ? d_ : 1;
        // To BLAS, rows are columns.
        int ld = static_cast<int>(d_), ld_out = static_cast<int>(ld_), inner = inner_;
        T scale = scale_, zero(0);
        char first = of_samples_ ? 'T' : 'N', second = of_samples_ ? 'N' : 'T';
        lapack<T>().gemm(&first, &second, &columns, &rows, &inner, &scale, z_ + j * step, &ld, z_ + i * step, &ld,
                         &zero, out_ + i * ld_ + j, &ld_out);
        for (index_t r = i; r < i + rows; ++r)
            for (index_t c = std::max(j, r + 1); c < j + columns; ++c) out_[c * ld_ + r] = out_[r * ld_ + c];
    }

  private:
    T* z_;
    index_t m_, tile_;
    int inner_;
    index_t d_, ld_;
    bool of_samples_;
    T scale_;
    T* out_;
};

}  // namespace

template <class T>
bool linear_gram(const View<T>& x, const index_t* sizes, const Linear& how, T* out, int threads) {
    const index_t n = x.rows, d = x.cols;
    const index_t order = how.side == Side::samples ? n : how.side == Side::features ? d : std::min(n, d);
    const BlasThreads hold(1);
    threads = thread_count(threads, 2.0 * x.batch * n * d * order);
    std::atomic<bool> fine{true};
    const auto make = [&](index_t b, Samples<T>& samples, int within) {
        T* a = out + b * order * order;
        std::fill(a, a + order * order, T(0));
        const index_t size = sizes ? sizes[b] : n;
        if (!samples.prepare(x.matrix(b), size, how)) fine = false;
        if (!fine || !(samples.trace() > 0.0)) return;
        const bool of_samples = how.side == Side::samples || (how.side == Side::smaller && size <= d);
        const Products<T> products(samples, size, d, of_samples, a, order);
        parallel_for(products.tiles(), within, [&](index_t k, int) { products.make(k); });
    };
    if (x.batch < threads) {
        Samples<T> samples;
        for (index_t b = 0; b < x.batch; ++b) make(b, samples, threads);
    } else {
        std::vector<Samples<T>> samples(static_cast<std::size_t>(threads));
        parallel_for(x.batch, threads,
                     [&](index_t b, int worker) { make(b, samples[static_cast<std::size_t>(worker)], 1); });
    }
    return fine;
}

template bool linear_gram(const View<float>&, const index_t*, const Linear&, float*, int);
template bool linear_gram(const View<double>&, const index_t*, const Linear&, double*, int);

}  // namespace fastrenyi::cpu
