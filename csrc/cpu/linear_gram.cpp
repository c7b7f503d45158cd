#include "ops/linear_gram.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
#include "cpu/fill.hpp"
#include "cpu/panels.hpp"

namespace fastrenyi::cpu {
namespace {

constexpr index_t summed_at_once = 256;    // products in the dtype, before their sum is added in double
constexpr index_t samples_at_once = 1024;  // whose products of features are added

/// What a difference of two means may come to where it is zero, in units of the largest number.
template <class T>
constexpr T rounding = 8 * std::numeric_limits<T>::epsilon();

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

    /// Packs some samples as their products of features are taken: to the panels, each is a feature of its features.
    void prepare(index_t first, index_t last, Panels<T>& panels) {
        count(in_parts(first, last, [&](index_t begin, index_t end, Part& part) {
            const Aligned memory((end - begin) * d_ * index_t(sizeof(T)));
            T* const rows = memory.template as<T>();
            serial_for(end - begin, [&](index_t k) { prepare_one(begin + k, rows + k * d_, part); });
            panels.pack_features(rows, d_, begin - first, end - begin);
        }));
    }

    /// Packs all samples as their products are taken.
    void prepare(Panels<T>& panels) {
        const std::vector<T> nothing(at(d_));
        count(in_parts(0, n_, [&](index_t begin, index_t end, Part& part) {
            const index_t lanes = panels.lanes();
            const Aligned memory(lanes * d_ * index_t(sizeof(T)));
            T* const rows = memory.template as<T>();
            double squares[most_lanes];
            for (index_t i = begin; i < end; i += lanes) {
                const index_t those = std::min(lanes, end - i);
                serial_for(those, [&](index_t k) { prepare_one(i + k, rows + k * d_, part); });
                panels.pack(i / lanes, rows, d_, those, nothing.data(), squares);
            }
        }));
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

    void prepare_one(index_t i, T* row, Part& part) const {
        const T* const x = in_place(i, row);
        const bool together = how_.samples || !how_.normalized;  // or else each by its own size
        divide(x, together ? power_ : power_of_two(engine<T>().largest(x, d_)), row);
        if (how_.samples) engine<T>().subtract(row, first_.data(), mean_.data(), d_);
        if (how_.features) subtract_mean(row);
        const T longest = engine<T>().largest(row, d_);
        part.most = std::max(part.most, longest);
        if (how_.normalized) normalize(row, longest);
        part.squares += engine<T>().squares(row, d_);
    }

    void count(const std::vector<Part>& parts) {
        for (const Part& part : parts) {
            most_ = std::max(most_, part.most);
            trace_ += part.squares;
        }
    }

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

    /// A sample, as it lies or copied to `row`.
    const T* in_place(index_t i, T* row) const {
        const T* source = x_.row(i);
        if (x_.col_stride == 1) return source;
        for (index_t j = 0; j < d_; ++j) row[j] = source[j * x_.col_stride];
        return row;
    }

    /// row = x / power, of two.
    void divide(const T* x, T power, T* row) const {
        const T inverse = 1 / power;
        if (std::isfinite(inverse)) return engine<T>().scale(row, x, inverse, d_);
        for (index_t j = 0; j < d_; ++j) row[j] = x[j] / power;
    }

    void find_scale() {
        const auto parts = in_parts(0, n_, [&](index_t begin, index_t end, Part& part) {
            std::vector<T> row(at(d_));
            serial_for(end - begin, [&](index_t k) {
                const T* const x = in_place(begin + k, row.data());
                part.finite &= engine<T>().all_finite(x, d_);
                part.most = std::max(part.most, engine<T>().largest(x, d_));
            });
        });
        T most(0);
        for (const Part& part : parts) {
            finite_ &= part.finite;
            most = std::max(most, part.most);
        }
        if (finite_ && most > T(0)) power_ = power_of_two(most);
    }

    void find_mean() {
        first_.resize(at(d_));
        divide(in_place(0, first_.data()), power_, first_.data());
        const std::vector<T> nothing(at(d_));
        const auto parts = in_parts(0, n_, [&](index_t begin, index_t end, Part& part) {
            constexpr index_t together = 4;
            std::vector<T> rows(at(together * d_));
            part.sums.resize(at(d_));
            for (index_t i = begin; i < end; i += together) {
                const index_t those = std::min(together, end - i);
                for (index_t k = 0; k < those; ++k) {
                    T* const row = rows.data() + k * d_;
                    divide(in_place(i + k, row), power_, row);
                    engine<T>().subtract(row, first_.data(), nothing.data(), d_);
                }
                engine<T>().add_rows(rows.data(), d_, those, d_, part.sums.data());
            }
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
        const T mean = static_cast<T>(engine<T>().sum(row, d_) / static_cast<double>(d_));
        for (index_t j = 0; j < d_; ++j) row[j] -= mean;
    }

    /// To length one; its size first, so that no square leaves the range.
    void normalize(T* row, T longest) const {
        if (!(longest > (centred_ ? rounding<T> : T(0)))) return std::fill(row, row + d_, T(0));
        divide(row, power_of_two(longest), row);
        const double length = std::sqrt(engine<T>().squares(row, d_));
        engine<T>().scale(row, row, static_cast<T>(1.0 / length), d_);
    }

    static T power_of_two(T x) {
        int exponent;
        std::frexp(x, &exponent);
        return std::ldexp(T(1), exponent - 1);
    }

    View<T> x_;
    index_t n_, d_;
    Linear how_;
    int threads_;
    bool centred_, finite_ = true;
    T power_ = T(1), most_ = T(0);
    std::vector<T> first_, mean_;
    double trace_ = 0.0;
};

double inverse(double trace) {
    return trace > 0.0 ? 1.0 / trace : 0.0;
}

/// Products of samples: each sum over the trace.
struct Scaled {
    double scale;
    void finish(double* row, index_t n) const {
        for (index_t j = 0; j < n; ++j) row[j] *= scale;
    }
    double diagonal(double own) const { return scale * own; }
};

template <class T>
struct OfSamples {
    static constexpr index_t rows = Panels<T>::rows;
    const Panels<T>& panels;
    void add(index_t first, index_t height, double* sums, index_t ld) const {
        panels.add(first, height, summed_at_once, sums, ld);
    }
};

/// The matrix of products of features, on and above the diagonal until it is finished.
template <class T>
class OfFeatures {
  public:
    OfFeatures(T* a, index_t order, index_t ld) : a_(a), order_(order), ld_(ld) {}

    /// Adds those of some samples to it, or writes them if they are the first.
    void add(const Panels<T>& panels, bool first, int threads) const {
        for_each_block(threads, [&](index_t i, index_t height) {
            const index_t width = order_ - i, ld = width + most_lanes;
            std::vector<double> sums(static_cast<std::size_t>(block * ld));
            panels.add(i, height, summed_at_once, sums.data(), ld);
            for (index_t r = 0; r < height; ++r) {
                T* const row = a_ + (i + r) * ld_ + i;
                const double* const found = &sums[static_cast<std::size_t>(r * ld)];
                for (index_t c = r; c < width; ++c) row[c] = static_cast<T>(first ? found[c] : row[c] + found[c]);
            }
        });
    }

    /// Multiplies it, and completes it below the diagonal.
    void finish(double factor, int threads) const {
        const T scale = static_cast<T>(factor);
        for_each_block(threads, [&](index_t i, index_t height) {
            for (index_t j = i; j < order_; j += block)
                for (index_t r = i; r < i + height; ++r)
                    for (index_t c = std::max(j, r); c < std::min(j + block, order_); ++c)
                        a_[c * ld_ + r] = a_[r * ld_ + c] = scale * a_[r * ld_ + c];
        });
    }

  private:
    static constexpr index_t block = Panels<T>::rows;

    template <class F>
    void for_each_block(int threads, F body) const {
        parallel_for((order_ + block - 1) / block, threads,
                     [&](index_t b, int) { body(b * block, std::min(block, order_ - b * block)); });
    }

    T* a_;
    index_t order_, ld_;
};

template <class T>
void write_products_of_samples(Set<T>& set, T* memory, T* out, index_t ld) {
    Panels<T> panels(set.size(), set.features(), memory);
    set.prepare(panels);
    fill(Scaled{inverse(set.trace())}, OfSamples<T>{panels}, set.size(), out, ld, set.threads());
}

template <class T>
void write_products_of_features(Set<T>& set, T* memory, T* out, index_t ld) {
    const index_t n = set.size(), d = set.features();
    const OfFeatures<T> products(out, d, ld);
    for (index_t first = 0; first < n; first += samples_at_once) {
        const index_t last = std::min(n, first + samples_at_once);
        Panels<T> panels(d, last - first, memory);
        set.prepare(first, last, panels);
        products.add(panels, first == 0, set.threads());
    }
    products.finish(inverse(set.trace()), set.threads());
}

/// Zeros wherever a matrix of this order does not reach.
template <class T>
void clear_behind(index_t own, index_t order, T* a) {
    for (index_t i = 0; i < own; ++i) std::fill(a + i * order + own, a + (i + 1) * order, T(0));
    std::fill(a + own * order, a + order * order, T(0));
}

}  // namespace

template <class T>
bool linear_gram(const View<T>& x, const index_t* sizes, const Linear& how, T* out, int threads) {
    const index_t n = x.rows, d = x.cols;
    const index_t order = how.side == Side::samples ? n : how.side == Side::features ? d : std::min(n, d);
    threads = thread_count(threads, 2.0 * x.batch * n * d * order);
    const bool shared_out = x.batch >= threads;  // or else all threads to each set
    const int workers = shared_out ? threads : 1, within = shared_out ? 1 : threads;
    const index_t of_samples = how.side == Side::features ? 0 : Panels<T>::bytes(std::min(n, order), d);
    const index_t of_features = how.side == Side::samples ? 0 : Panels<T>::bytes(d, std::min(n, samples_at_once));
    std::vector<Aligned> workspaces;
    for (int w = 0; w < workers; ++w) workspaces.emplace_back(std::max(of_samples, of_features));
    // The dearest first, so that all threads have work to the end.
    std::vector<index_t> sets(static_cast<std::size_t>(x.batch));
    std::iota(sets.begin(), sets.end(), index_t(0));
    if (sizes) std::stable_sort(sets.begin(), sets.end(), [&](index_t b, index_t c) { return sizes[b] > sizes[c]; });
    std::atomic<bool> finite{true};
    parallel_for(x.batch, workers, [&](index_t k, int worker) {
        if (!finite) return;
        const index_t b = sets[static_cast<std::size_t>(k)];
        T* a = out + b * order * order;
        Set<T> set(x.matrix(b), sizes ? sizes[b] : n, how, within);
        T* const workspace = workspaces[static_cast<std::size_t>(worker)].template as<T>();
        const bool by_samples = how.side == Side::samples || (how.side == Side::smaller && set.size() <= d);
        clear_behind(by_samples ? set.size() : d, order, a);
        if (!set.finite())
            finite = false;
        else if (by_samples)
            write_products_of_samples(set, workspace, a, order);
        else
            write_products_of_features(set, workspace, a, order);
    });
    return finite;
}

template bool linear_gram(const View<float>&, const index_t*, const Linear&, float*, int);
template bool linear_gram(const View<double>&, const index_t*, const Linear&, double*, int);

}  // namespace fastrenyi::cpu
