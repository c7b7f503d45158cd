#include "ops/linear_gram.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
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
bool all_finite(const T* x, index_t count) {
    return reduced<T>(x, count, [](T value) { return value * T(0); }, std::plus<T>()) == T(0);  // or else NaN
}

/// One set of samples: what is taken from each before products are.
template <class T>
class Set {
  public:
    Set(const View<T>& x, index_t n, const Linear& how, int threads)
        : x_(x), n_(n), d_(x.cols), how_(how), threads_(threads), centred_(how.samples || how.features) {
        find_scale();
        if (finite_ && how_.samples) find_mean();
    }

    bool finite() const { return finite_; }
    index_t size() const { return n_; }
    index_t features() const { return d_; }
    int threads() const { return threads_; }

    /// Writes some samples, as their products are taken, to z (last - first, d).
    void prepare(index_t first, index_t last, T* z) {
        const auto parts = in_parts(first, last, [&](index_t begin, index_t end, Part& part) {
            serial_for(end - begin, [&](index_t k) {
                T* row = z + (begin - first + k) * d_;
                if (centred_ || !how_.normalized)
                    copy(begin + k, row);
                else  // each by its own size
                    read(begin + k, row);
                if (how_.samples)
                    for (index_t j = 0; j < d_; ++j) row[j] = row[j] - first_[at(j)] - mean_[at(j)];
                if (how_.features) subtract_mean(row);
                const T longest = largest(row, d_);
                part.most = std::max(part.most, longest);
                if (how_.normalized) normalize(row, longest);
                part.squares += squares(row, d_);
            });
        });
        for (const Part& part : parts) {
            most_ = std::max(most_, part.most);
            trace_ += part.squares;
        }
    }

    /// |X|^2 of the samples prepared so far; zero if nothing is left of them.
    double trace() const { return centred_ && !(most_ > rounding<T>) ? 0.0 : trace_; }

  private:
    struct Part {
        T most = T(0);
        double squares = 0.0;
        bool finite = true;
        std::vector<double> sums;
    };

    static std::size_t at(index_t j) { return static_cast<std::size_t>(j); }

    /// Calls body(begin, end, part) for parts of a range of samples, always the same ones; returns the parts in order.
    template <class F>
    std::vector<Part> in_parts(index_t first, index_t last, F body) {
        constexpr index_t rows = 64;
        std::vector<Part> parts(at((last - first + rows - 1) / rows));
        parallel_for(static_cast<index_t>(parts.size()), threads_, [&](index_t k, int) {
            body(first + k * rows, std::min(first + (k + 1) * rows, last), parts[at(k)]);
        });
        return parts;
    }

    void read(index_t i, T* row) const {
        const T* source = x_.row(i);
        if (x_.col_stride == 1)
            std::copy(source, source + d_, row);
        else
            for (index_t j = 0; j < d_; ++j) row[j] = source[j * x_.col_stride];
    }

    /// A sample over the power of two.
    void copy(index_t i, T* row) const {
        read(i, row);
        if (std::isfinite(inverse_))
            for (index_t j = 0; j < d_; ++j) row[j] *= inverse_;
        else
            for (index_t j = 0; j < d_; ++j) row[j] /= power_;
    }

    void find_scale() {
        const auto parts = in_parts(0, n_, [&](index_t begin, index_t end, Part& part) {
            std::vector<T> row(at(d_));
            serial_for(end - begin, [&](index_t k) {
                read(begin + k, row.data());
                part.finite &= all_finite(row.data(), d_);
                part.most = std::max(part.most, largest(row.data(), d_));
            });
        });
        T most(0);
        for (const Part& part : parts) {
            finite_ &= part.finite;
            most = std::max(most, part.most);
        }
        if (!finite_ || most == T(0)) return;
        int exponent;
        std::frexp(most, &exponent);
        power_ = std::ldexp(T(1), exponent - 1);
        inverse_ = 1 / power_;
    }

    void find_mean() {
        first_.resize(at(d_));
        copy(0, first_.data());
        const auto parts = in_parts(0, n_, [&](index_t begin, index_t end, Part& part) {
            std::vector<T> row(at(d_));
            part.sums.resize(at(d_));
            serial_for(end - begin, [&](index_t k) {
                copy(begin + k, row.data());
                for (index_t j = 0; j < d_; ++j) part.sums[at(j)] += row[at(j)] - first_[at(j)];
            });
        });
        std::vector<double> sums(at(d_));
        for (const Part& part : parts)
            for (index_t j = 0; j < d_; ++j) sums[at(j)] += part.sums[at(j)];
        mean_.reserve(sums.size());
        for (const double sum : sums) mean_.push_back(static_cast<T>(sum / static_cast<double>(n_)));
    }

    void subtract_mean(T* row) const {
        const T first = row[0];
        for (index_t j = 0; j < d_; ++j) row[j] -= first;
        const double sum =
            reduced<double>(row, d_, [](T value) { return static_cast<double>(value); }, std::plus<double>());
        const T mean = static_cast<T>(sum / static_cast<double>(d_));
        for (index_t j = 0; j < d_; ++j) row[j] -= mean;
    }

    void normalize(T* row, T longest) const {
        if (!(longest > (centred_ ? rounding<T> : T(0)))) return std::fill(row, row + d_, T(0));
        for (index_t j = 0; j < d_; ++j) row[j] /= longest;
        const T length = static_cast<T>(std::sqrt(squares(row, d_)));
        for (index_t j = 0; j < d_; ++j) row[j] /= length;
    }

    View<T> x_;
    index_t n_, d_;
    Linear how_;
    int threads_;
    bool centred_, finite_ = true;
    T power_ = T(1), inverse_ = T(1), most_ = T(0);
    std::vector<T> first_, mean_;
    double trace_ = 0.0;
};

/// Where a matrix of products stands: of an order, within one of rows `ld` apart, in tiles on and above the diagonal.
template <class T>
class Tiles {
  public:
    Tiles(T* a, index_t order, index_t ld) : a_(a), order_(order), ld_(ld), tile_(tile_of(order)) {}

    /// Adds z z' (z: order x inner) or z' z (inner x order) to it, or writes it if it is the first.
    void add(T* z, index_t d, index_t inner, bool of_rows, bool first, int threads) const {
        for_each(threads, [&](index_t i, index_t j, int rows, int columns) {
            // To BLAS, rows are columns.
            int ld = static_cast<int>(d), ld_out = static_cast<int>(ld_), k = static_cast<int>(inner);
            T one(1), before(first ? 0 : 1);
            char left = of_rows ? 'T' : 'N', right = of_rows ? 'N' : 'T';
            const index_t step = of_rows ? d : 1;
            lapack<T>().gemm(&left, &right, &columns, &rows, &k, &one, z + j * step, &ld, z + i * step, &ld, &before,
                             a_ + i * ld_ + j, &ld_out);
        });
    }

    /// Divides it by its trace, and completes it below the diagonal; zero if there is none.
    void finish(double trace, int threads) const {
        const T scale = static_cast<T>(trace > 0.0 ? 1.0 / trace : 0.0);
        for_each(threads, [&](index_t i, index_t j, int rows, int columns) {
            for (index_t r = i; r < i + rows; ++r)
                for (index_t c = std::max(j, r); c < j + columns; ++c)
                    a_[c * ld_ + r] = a_[r * ld_ + c] = scale * a_[r * ld_ + c];
        });
    }

  private:
    template <class F>
    void for_each(int threads, F body) const {
        const index_t along = (order_ + tile_ - 1) / tile_;
        parallel_for(along * (along + 1) / 2, threads, [&](index_t k, int) {
            index_t column = 0;
            while (k > column) k -= ++column;
            const index_t i = k * tile_, j = column * tile_;
            body(i, j, static_cast<int>(std::min(tile_, order_ - i)), static_cast<int>(std::min(tile_, order_ - j)));
        });
    }

    T* a_;
    index_t order_, ld_, tile_;
};

/// Samples whose products are added at once, where they are of features.
constexpr index_t rows_at_once = 1024;

template <class T>
void write_products(Set<T>& set, bool of_samples, T* z, T* out, index_t ld) {
    const index_t n = set.size(), d = set.features(), order = of_samples ? n : d, step = of_samples ? n : rows_at_once;
    const Tiles<T> tiles(out, order, ld);
    for (index_t first = 0; first < n; first += step) {
        const index_t last = std::min(n, first + step);
        set.prepare(first, last, z);
        tiles.add(z, d, of_samples ? d : last - first, of_samples, first == 0, set.threads());
    }
    tiles.finish(set.trace(), set.threads());
}

}  // namespace

template <class T>
bool linear_gram(const View<T>& x, const index_t* sizes, const Linear& how, T* out, int threads) {
    const index_t n = x.rows, d = x.cols;
    const index_t order = how.side == Side::samples ? n : how.side == Side::features ? d : std::min(n, d);
    const index_t most_rows = how.side == Side::samples ? n : std::min(n, std::max(rows_at_once, order));
    const BlasThreads hold(1);
    threads = thread_count(threads, 2.0 * x.batch * n * d * order);
    const bool shared_out = x.batch >= threads;  // or else all threads to each set
    const int workers = shared_out ? threads : 1, within = shared_out ? 1 : threads;
    std::vector<Aligned> rows;
    for (int w = 0; w < workers; ++w) rows.emplace_back(most_rows * d * static_cast<index_t>(sizeof(T)));
    std::atomic<bool> finite{true};
    parallel_for(x.batch, workers, [&](index_t b, int worker) {
        if (!finite) return;
        T* a = out + b * order * order;
        Set<T> set(x.matrix(b), sizes ? sizes[b] : n, how, within);
        const bool of_samples = how.side == Side::samples || (how.side == Side::smaller && set.size() <= d);
        if ((of_samples ? set.size() : d) < order) std::fill(a, a + order * order, T(0));
        if (set.finite())
            write_products(set, of_samples, rows[static_cast<std::size_t>(worker)].template as<T>(), a, order);
        else
            finite = false;
    });
    return finite;
}

template bool linear_gram(const View<float>&, const index_t*, const Linear&, float*, int);
template bool linear_gram(const View<double>&, const index_t*, const Linear&, double*, int);

}  // namespace fastrenyi::cpu
