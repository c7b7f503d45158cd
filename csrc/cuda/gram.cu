#include "ops/gram.hpp"

#include <cmath>
#include <limits>
#include <type_traits>

#include "cuda/launch.hpp"
#include "cuda/tiles.hpp"
#include "cuda/whole.hpp"

namespace fastrenyi::cuda {
namespace {

/// Largest magnitude of a feature of the sample that this thread has to look at: on the x side for the first half of
/// the threads, on the y side for the second.
template <class Block, class T>
FASTRENYI_DEVICE double largest_of_sample(Block& block, const Samples<T, double>& samples) {
    static_assert(tile_threads == 2 * tile, "a thread to each sample of a block");
    const double* own = samples.memory + block.thread() / tile * side_elements + block.thread() % tile;
    double largest = 0.0;
    samples.visit(
        block, [](T x, int) { return std::abs(static_cast<double>(x)); },
        [&] {
            for (int k = 0; k < chunk; ++k) largest = own[k * pitch] > largest ? own[k * pitch] : largest;
        });
    return largest;
}

template <bool squared, class T>
FASTRENYI_DEVICE T power_of(T difference) {
    return squared ? difference * difference : magnitude(difference);
}

/// Gaussian (squared) and Laplacian.
template <bool squared, class T>
struct Exponential {
    using Element = T;
    static constexpr int table = 0;
    const double* widths;  // or null: then sigma is that of all
    double sigma, weight;

    /// The width multiplies differences only where their squares could leave the range: elsewhere a square that
    /// overflows, or comes to nothing, is a kernel of 0 or 1 in any case.
    struct State {
        bool narrow, scaled;
        double scale, exponent;  // differences are multiplied by the scale twice
    };

    template <class Block, class S>
    FASTRENYI_DEVICE State begin(Block&, const S&, index_t b) const {
        return of_matrix(b);
    }

    FASTRENYI_DEVICE State of_matrix(index_t b) const {
        constexpr double low = sizeof(T) == 8 ? 0x1p-250 : 0x1p-60, high = sizeof(T) == 8 ? 0x1p250 : 0x1p40;
        const double width = widths ? widths[b] : sigma;
        const double scale = 1.0 / width, factor = squared ? -0.5 : -1.0;
        // By its root twice: the scale itself may overflow, or lose digits. In the narrow limit it only must not lose
        // any difference.
        if (!(scale >= low && scale <= high))
            return {width == 0.0, true, width == 0.0 ? 0x1p500 : 1.0 / std::sqrt(width), factor};
        return {false, false, 1.0, squared ? factor * scale * scale : factor * scale};
    }

    template <class X>
    FASTRENYI_DEVICE T staged(const State&, X x, int) const {
        return x;
    }

    FASTRENYI_DEVICE void add(Sums& sums, const State& state, const T* x, const T* y) const {
        summing(state, [&](auto between) { add_chunk(sums, x, y, between); });
    }

    template <class F>
    FASTRENYI_DEVICE void summing(const State& state, F act) const {
        const double scale = state.scale;
        if (state.scaled)
            act([=](T a, T b) {
                const double difference = (static_cast<double>(a) - static_cast<double>(b)) * scale * scale;
                return static_cast<T>(power_of<squared>(difference));
            });
        else
            act([](T a, T b) { return power_of<squared>(a - b); });
    }

    FASTRENYI_DEVICE double diagonal() const { return weight; }
    FASTRENYI_DEVICE double finish(const State& state, double sum, int, int) const {
        if (state.narrow) return sum == 0.0 ? weight : 0.0;
        return weight * std::exp(state.exponent * sum);
    }
};

/// Inner products of (sqrt(gamma) x, sqrt(coef0)) of length one: the polynomial kernel of degree one divided by the
/// root of its diagonal. Division by the largest feature first keeps squares in range.
struct Power {
    using Element = double;
    static constexpr int table = 6 * tile;
    int degree;
    double gamma, coef0, weight;

    struct State {
        const double *largest, *factor, *offset;  // of each sample of the block, in shared memory
    };

    template <class Block, class T>
    FASTRENYI_DEVICE State begin(Block& block, const Samples<T, double>& samples, index_t) const {
        const double found = largest_of_sample(block, samples), unit = found > 0.0 ? found : 1.0;
        double* const units = samples.memory + 2 * side_elements;
        double *const factors = units + 2 * tile, *const offsets = factors + 2 * tile;
        const int sample = block.thread();
        units[sample] = unit;
        block.sync();
        const double* own = samples.memory + sample / tile * side_elements + sample % tile;
        double squares = 0.0;
        samples.visit(
            block, [=](T x, int row) { return x / units[row]; },
            [&] {
                for (int k = 0; k < chunk; ++k) squares += own[k * pitch] * own[k * pitch];
            });
        // The lengths of the two parts, and of the whole, relative to the largest feature.
        const double length = std::sqrt(gamma) * std::sqrt(squares), offset = std::sqrt(coef0) / unit;
        const double whole = std::hypot(length, offset);
        factors[sample] = squares > 0.0 ? length / whole / std::sqrt(squares) : 0.0;
        offsets[sample] = std::isinf(whole) ? 1.0 : offset / whole;
        block.sync();
        return {units, factors, offsets};
    }

    template <class T>
    FASTRENYI_DEVICE double staged(const State& state, T x, int row) const {
        return x / state.largest[row] * state.factor[row];
    }

    FASTRENYI_DEVICE void add(Sums& sums, const State&, const double* x, const double* y) const {
        add_chunk(sums, x, y, [](double a, double b) { return a * b; });
    }

    FASTRENYI_DEVICE double diagonal() const { return weight; }
    FASTRENYI_DEVICE double finish(const State& state, double sum, int row, int col) const {
        const double cosine = sum + state.offset[row] * state.offset[tile + col];
        return std::pow(cosine, static_cast<double>(degree)) * weight;
    }
};

template <bool squared>
struct Distance {
    using Element = double;
    static constexpr int table = 0;

    /// A power of two that brings the block's largest feature near one; multiplying by it is exact.
    struct State {
        double scale;
    };

    template <class Block, class T>
    FASTRENYI_DEVICE State begin(Block& block, const Samples<T, double>& samples, index_t) const {
        if constexpr (std::is_same<T, float>::value) return {1.0};  // squares of floats stay in the range of doubles
        const double largest = block.largest(largest_of_sample(block, samples));
        if (largest == 0.0) return {1.0};
        const int exponent = std::ilogb(largest);
        return {std::ldexp(1.0, exponent < -1000 ? 1000 : exponent > 1000 ? -1000 : -exponent)};
    }

    template <class T>
    FASTRENYI_DEVICE double staged(const State& state, T x, int) const {
        return x * state.scale;
    }

    FASTRENYI_DEVICE void add(Sums& sums, const State&, const double* x, const double* y) const {
        add_chunk(sums, x, y, [](double a, double b) { return power_of<squared>(a - b); });
    }

    FASTRENYI_DEVICE double diagonal() const { return 0.0; }
    FASTRENYI_DEVICE double finish(const State& state, double sum, int, int) const {
        return (squared ? std::sqrt(sum) : sum) / state.scale;
    }
};

/// How many features differ; equal samples have none.
template <class T>
struct Equal {
    using Element = T;
    struct State {};
    static constexpr int table = 0;
    double weight;

    template <class Block, class S>
    FASTRENYI_DEVICE State begin(Block&, const S&, index_t) const {
        return {};
    }
    FASTRENYI_DEVICE T staged(const State&, T x, int) const { return x; }
    FASTRENYI_DEVICE void add(Sums& sums, const State&, const T* x, const T* y) const {
        add_chunk(sums, x, y, [](T a, T b) { return a == b ? 0.0 : 1.0; });
    }
    FASTRENYI_DEVICE double diagonal() const { return weight; }
    FASTRENYI_DEVICE double finish(const State&, double sum, int, int) const { return sum == 0.0 ? weight : 0.0; }
};

template <bool squared, class T>
void exponential(const View<T>& x, const double* widths, double sigma, T* out, Status* status, Stream stream) {
    const double weight = 1.0 / static_cast<double>(x.rows);
    // A device of less shared memory cannot hold all of the largest.
    using Largest = Whole<T, T, Exponential<squared, T>, most_whole / four>;
    if (x.rows > most_whole || Largest::shared_bytes(x.rows) > most_shared_bytes())
        return launch_tiles(x, out, Exponential<squared, double>{widths, sigma, weight}, status, stream);
    const Exponential<squared, T> rule{widths, sigma, weight};
    if (x.rows <= 104)
        launch_whole<26>(x, out, rule, status, stream);
    else
        launch_whole<most_whole / four>(x, out, rule, status, stream);
}

}  // namespace

template <class T>
void gram(const View<T>& x, const KernelSpec& kernel, double sigma, T* out, Status* status, Stream stream) {
    if (x.rows == 0) return;
    switch (kernel.kind) {
        case Kernel::gaussian:
            return exponential<true>(x, kernel.width, sigma, out, status, stream);
        case Kernel::laplacian:
            return exponential<false>(x, kernel.width, sigma, out, status, stream);
        case Kernel::polynomial: {
            const Power rule{kernel.degree, kernel.gamma, kernel.coef0, 1.0 / static_cast<double>(x.rows)};
            return launch_tiles(x, out, rule, status, stream);
        }
    }
}

template <class T>
void distances(const View<T>& x, Metric metric, T* out, Stream stream) {
    if (metric == Metric::euclidean)
        launch_tiles(x, out, Distance<true>{}, nullptr, stream);
    else
        launch_tiles(x, out, Distance<false>{}, nullptr, stream);
}

template <class T>
void delta_gram(const View<T>& x, double* out, Stream stream) {
    launch_tiles(x, out, Equal<T>{1.0 / static_cast<double>(x.rows)}, nullptr, stream);
}

template void gram(const View<float>&, const KernelSpec&, double, float*, Status*, Stream);
template void gram(const View<double>&, const KernelSpec&, double, double*, Status*, Stream);
template void distances(const View<float>&, Metric, float*, Stream);
template void distances(const View<double>&, Metric, double*, Stream);
template void delta_gram(const View<float>&, double*, Stream);
template void delta_gram(const View<double>&, double*, Stream);
template void delta_gram(const View<index_t>&, double*, Stream);

}  // namespace fastrenyi::cuda
