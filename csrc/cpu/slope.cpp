#include "ops/slope.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/aligned.hpp"
#include "cpu/batched_spectra.hpp"
#include "cpu/dense_spectra.hpp"

namespace fastrenyi::cpu {
namespace {

/// sum_k weights_k / (mu + shifts_k)
struct Poles {
    std::vector<double> shifts, weights;
    void add(double shift, double weight) {
        shifts.push_back(shift);
        weights.push_back(weight);
    }
};

/// f(mu) = mu^power (constant + small(mu) + mu large(mu)) for mu in (0, 1].
struct Function {
    int power = 0;
    double constant = 0.0;
    Poles small, large;
};

/// A spectrum as f sees it.
struct Summary {
    double largest, total, lowest;  ///< `lowest`, of rounding, over the largest: from where on f must be right
    std::vector<double> p;          ///< probabilities
};

template <class T>
Summary summarise(const T* values, index_t n) {
    Summary s{static_cast<double>(values[n - 1]), 0.0, 0.0, std::vector<double>(static_cast<std::size_t>(n))};
    for (index_t i = 0; i < n; ++i) s.total += s.p[i] = std::max(0.0, static_cast<double>(values[i]));
    for (double& q : s.p) q /= s.total;
    const double below = std::max(0.0, -static_cast<double>(values[0]) / s.largest);
    s.lowest = 32.0 * (std::numeric_limits<T>::epsilon() + below);
    return s;
}

/// Adds factor * (mu^beta - 1) / beta, |beta| < 1, log mu at 0: with t = e^u it is
/// sinc(beta) int t^beta (t / (t + 1) - t / (t + mu)) du, which the trapezoidal rule of step h takes up to e^(-2 pi^2 /
/// h). Above t = 1 the difference is that of mu / (t + mu) and 1 / (t + 1), where fewer digits cancel. The tails of the
/// sum, below `lowest` and far above one, are geometric series and a pole each, right to second order in t / mu and mu
/// / t.
void add_power(Function& f, double beta, double factor, double lowest, double epsilon) {
    const double pi = 3.14159265358979323846;
    const double digits = -std::log(epsilon), h = 2.0 * pi * pi / (digits + 1.4);
    const double weight = factor * h * (beta == 0.0 ? 1.0 : std::sin(pi * beta) / (pi * beta));
    const auto small = [&](double t, double w) {  // w (1 / (t + 1) - 1 / (t + mu))
        f.constant += w / (t + 1.0);
        f.small.add(t, -w);
    };
    const auto large = [&](double t, double w) {  // w (mu / (t + mu) - 1 / (t + 1))
        f.constant -= w / (t + 1.0);
        f.large.add(t, w);
    };
    const double first = std::ceil(std::log(lowest) / h), last = std::ceil(digits / 2.5 / h);
    for (double k = first; k <= last; ++k) {
        const double t = std::exp(k * h), w = weight * std::pow(t, beta);
        t < 1.0 ? small(t, w * t) : large(t, w);
    }
    const auto beyond = [h](double power, double u) {  // sum of e^(power u) over what comes after u, power u falling
        return std::exp(power * u) / std::expm1(std::abs(power) * h);
    };
    const double below = beyond(1.0 + beta, first * h), above = beyond(beta - 1.0, last * h);
    const double farthest = above / beyond(beta - 2.0, last * h);
    small(beyond(2.0 + beta, first * h) / below, weight * below);
    large(farthest, weight * above * farthest);
}

/// f of one order, in nats, as a function of mu = lambda / largest. With p = lambda / total, c = largest / total, and
/// s = alpha - 1: dS/d lambda = -alpha / (s total) (e^(s S) p^s - 1).
Function slope_of_order(double alpha, const Summary& spectrum, double epsilon) {
    const double s = alpha - 1.0, log_c = std::log(spectrum.largest / spectrum.total);
    Function f;
    f.power = static_cast<int>(std::max(0.0, std::floor(s + 0.5)));
    const double beta = s - f.power, size = alpha / spectrum.total;
    if (f.power == 0) {
        double nats = 0.0;  // S + log c; sum p^alpha - 1 = sum p (p^s - 1) loses nothing near 1
        for (const double q : spectrum.p)
            if (q > 0.0) nats += s == 0.0 ? -q * std::log(q) : q * std::expm1(s * std::log(q));
        nats = (s == 0.0 ? nats : -std::log1p(nats) / s) + log_c;
        f.constant = -size * (s == 0.0 ? nats : std::expm1(s * nats) / s);
        add_power(f, beta, -size * std::exp(s * nats), spectrum.lowest, epsilon);
    } else {               // mu^s = mu^power (1 + beta (mu^beta - 1) / beta); what is without a power is the caller's
        double sum = 0.0;  // of mu^alpha: e^(s S) c^s = 1 / (c sum)
        for (const double q : spectrum.p) sum += std::pow(q * spectrum.total / spectrum.largest, alpha);
        f.constant = -size / s * spectrum.total / spectrum.largest / sum;
        if (beta != 0.0) add_power(f, beta, f.constant * beta, spectrum.lowest, epsilon);
    }
    return f;
}

/// m = T m / scale for m (n, n), which stays symmetric as both are functions of T.
template <class T>
void multiply(T* m, index_t n, index_t ld, const T* d, const T* e, T scale, std::vector<T>& before) {
    before.assign(static_cast<std::size_t>(n), T(0));
    for (index_t i = 0; i < n; ++i) {
        T *const row = m + i * ld, *const after = i + 1 < n ? row + ld : row;
        const T left = i > 0 ? e[i - 1] / scale : T(0), own = d[i] / scale, right = i + 1 < n ? e[i] / scale : T(0);
        for (index_t j = 0; j < n; ++j) {
            const T old = row[j];
            row[j] = left * before[static_cast<std::size_t>(j)] + own * old + right * after[j];
            before[static_cast<std::size_t>(j)] = old;
        }
    }
}

/// One thread's room.
template <class T>
struct SlopeWorkspace {
    explicit SlopeWorkspace(index_t n)
        : ld(engine<T>().padded(n)),
          sum(n * ld * index_t(sizeof(T))),
          term(n * ld * index_t(sizeof(T))),
          work(5 * ld * index_t(sizeof(T))),
          resolvents((2 * n * most_lanes + 2 * n + 4 * ld) * index_t(sizeof(double))) {}
    index_t ld;
    Aligned sum, term, work, resolvents;
    std::vector<T> row;
};

/// Adds the poles, at T / largest, times the trace, to the lower triangle of m.
template <class T>
void add(Poles f, const T* d, const T* e, index_t n, const Summary& spectrum, T* m, SlopeWorkspace<T>& room) {
    for (double& shift : f.shifts) shift *= spectrum.largest;
    for (double& weight : f.weights) weight *= spectrum.largest * spectrum.total;
    if (f.shifts.empty()) return;
    while (f.shifts.size() % pole_multiple != 0) f.add(spectrum.largest, 0.0);
    const double base = *std::min_element(f.shifts.begin(), f.shifts.end()) / 2.0;
    engine<T>().add_resolvents(m, n, room.ld, d, e, f.shifts.data(), f.weights.data(),
                               static_cast<index_t>(f.shifts.size()), base, room.resolvents.data(), &stop_if_asked);
}

template <class T>
void slope_of_one(const T* reduced, index_t n, const double* grads, const double* orders, index_t order_count,
                  double unit, T* out, SlopeWorkspace<T>& room) {
    const Engine<T>& by = engine<T>();
    const index_t ld = room.ld;
    const T *const d = reduced + n * n, *const e = d + n, *const values = e + n;
    T *const sum = room.sum.template as<T>(), *const term = room.term.template as<T>();
    constexpr double epsilon = std::numeric_limits<T>::epsilon();
    const Summary spectrum = summarise(values, n);
    const auto symmetrise = [&](T* m) {
        for (index_t i = 0; i < n; ++i)
            for (index_t j = 0; j < i; ++j) m[j * ld + i] = m[i * ld + j];
    };
    std::fill_n(sum, n * ld, T(0));
    double on_diagonal = 0.0;
    for (index_t o = 0; o < order_count; ++o) {
        if (orders[o] == 0.0) continue;
        const Function f = slope_of_order(orders[o], spectrum, epsilon);
        const double weight = grads[o] * unit / std::log(2.0);
        std::fill_n(term, n * ld, T(0));
        add(f.large, d, e, n, spectrum, term, room);
        if (!f.large.shifts.empty()) {
            symmetrise(term);
            multiply(term, n, ld, d, e, static_cast<T>(spectrum.largest), room.row);
        }
        add(f.small, d, e, n, spectrum, term, room);
        if (f.power == 0) {
            on_diagonal += weight * spectrum.total * f.constant;
        } else {
            for (index_t i = 0; i < n; ++i) term[i * ld + i] += static_cast<T>(spectrum.total * f.constant);
            symmetrise(term);
            for (int k = 0; k < f.power; ++k) multiply(term, n, ld, d, e, static_cast<T>(spectrum.largest), room.row);
            on_diagonal += weight * orders[o] / (orders[o] - 1.0);
        }
        for (index_t k = 0; k < n * ld; ++k) sum[k] += static_cast<T>(weight) * term[k];
    }
    symmetrise(sum);
    T* const reflections = term;  // which is not needed any more
    for (index_t i = 0; i < n; ++i) {
        std::copy_n(reduced + i * n, n, reflections + i * ld);
        std::fill(reflections + i * ld + n, reflections + (i + 1) * ld, T(0));
    }
    by.expand(sum, reflections, n, ld, room.work.template as<T>(), &stop_if_asked);
    const T total = static_cast<T>(spectrum.total), constant = static_cast<T>(on_diagonal);
    for (index_t i = 0; i < n; ++i) {
        for (index_t j = 0; j < i; ++j) out[i * n + j] = out[j * n + i] = sum[i * ld + j] / total;
        out[i * n + i] = (sum[i * ld + i] + constant) / total;
    }
}

}  // namespace

template <class T>
void reduce(const std::vector<View<T>>& a, T* values, T* reduced, int threads) {
    std::vector<Readable<T>> readable(a.begin(), a.end());
    std::vector<Lane<T>> items;
    for (std::size_t k = 0; k < a.size(); ++k)
        for (index_t b = 0; b < a[k].batch; ++b) items.push_back({readable[k][b], {nullptr, 0}});
    const index_t n = a.front().rows;
    dense_spectra<T>(items.data(), nullptr, static_cast<index_t>(items.size()), n, nullptr, T(1), values, n, reduced,
                     threads);
}

template <class T>
void slope(const T* reduced, index_t batch, index_t n, const double* grads, const double* orders, index_t order_count,
           double unit, T* out, int threads) {
    threads = static_cast<int>(std::min<index_t>(thread_count(threads, 0.4 * batch * n * n * n), batch));
    std::vector<SlopeWorkspace<T>> rooms;
    for (int t = 0; t < threads; ++t) rooms.emplace_back(n);
    parallel_for(batch, threads, [&](index_t b, int worker) {
        slope_of_one(reduced + b * (n + 3) * n, n, grads + b * order_count, orders, order_count, unit, out + b * n * n,
                     rooms[static_cast<std::size_t>(worker)]);
    });
}

template void reduce(const std::vector<View<float>>&, float*, float*, int);
template void reduce(const std::vector<View<double>>&, double*, double*, int);
template void slope(const float*, index_t, index_t, const double*, const double*, index_t, double, float*, int);
template void slope(const double*, index_t, index_t, const double*, const double*, index_t, double, double*, int);

}  // namespace fastrenyi::cpu
