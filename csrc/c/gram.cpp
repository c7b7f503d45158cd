#include "ops/gram.hpp"

#include <cmath>

#include "c/door.hpp"

namespace fastrenyi::c {
namespace {

template <class T>
void fill(const View<T>& x, const KernelSpec& kernel, T* out, int threads) {
    accept_pointer(out, "out", x.batch == 0);
    if (cpu::gram(x, kernel, out, threads)) return;
    accept_finite(x, "x", 0, threads);
    refuse("x", "numbers that stay as they are", "others while they were read");
}

template <class Given, class T>
int widthed(Kernel kind, const Given* given, const double* widths, T* out, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const View<T> x = accept_view(given, "x");
        accept_pointer(widths, "widths", x.batch == 0);
        for (index_t b = 0; b < x.batch; ++b)
            if (!(widths[b] >= 0.0 && std::isfinite(widths[b])))
                refuse("widths", "finite numbers of 0 or more", told(widths[b]), FR_INVALID_ARGUMENT, b);
        fill(x, {kind, widths, 1, 1.0, 0.0}, out, threads);
    });
}

template <class Given, class T>
int polynomial(const Given* given, int degree, double gamma, double coef0, T* out, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const View<T> x = accept_view(given, "x");
        accept_count(degree, 1, "degree");
        if (!(gamma > 0.0 && std::isfinite(gamma))) refuse("gamma", "a finite number above 0", told(gamma));
        if (!(coef0 >= 0.0 && std::isfinite(coef0))) refuse("coef0", "a finite number of 0 or more", told(coef0));
        const index_t row = coef0 > 0.0 ? -1 : cpu::first_zero_row(x, threads);
        if (row >= 0) refuse("x", "samples other than zero where coef0 is 0", "zeros", FR_ZERO, row);
        fill(x, {Kernel::polynomial, nullptr, degree, gamma, coef0}, out, threads);
    });
}

template <class Given>
int delta(const Given* given, double* out, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const auto x = accept_view(given, "x");
        accept_pointer(out, "out", x.batch == 0);
        if constexpr (std::is_floating_point_v<Element<Given>>) accept_finite(x, "x", flags, threads);
        cpu::delta_gram(x, out, threads);
    });
}

template <class Given, class T>
int distances(const Given* given, int p, T* out, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const View<T> x = accept_view(given, "x");
        if (p != 1 && p != 2) refuse("p", "1 or 2", std::to_string(p));
        accept_pointer(out, "out", x.batch == 0);
        accept_finite(x, "x", flags, threads);
        cpu::distances(x, p == 1 ? Metric::manhattan : Metric::euclidean, out, threads);
    });
}

}  // namespace
}  // namespace fastrenyi::c

using namespace fastrenyi;

int fr_gaussian_gram_f32(const fr_view_f32* x, const double* widths, float* out, uint32_t flags, int threads) {
    return c::widthed(Kernel::gaussian, x, widths, out, flags, threads);
}

int fr_gaussian_gram_f64(const fr_view_f64* x, const double* widths, double* out, uint32_t flags, int threads) {
    return c::widthed(Kernel::gaussian, x, widths, out, flags, threads);
}

int fr_laplacian_gram_f32(const fr_view_f32* x, const double* widths, float* out, uint32_t flags, int threads) {
    return c::widthed(Kernel::laplacian, x, widths, out, flags, threads);
}

int fr_laplacian_gram_f64(const fr_view_f64* x, const double* widths, double* out, uint32_t flags, int threads) {
    return c::widthed(Kernel::laplacian, x, widths, out, flags, threads);
}

int fr_polynomial_gram_f32(const fr_view_f32* x, int degree, double gamma, double coef0, float* out, uint32_t flags,
                           int threads) {
    return c::polynomial(x, degree, gamma, coef0, out, flags, threads);
}

int fr_polynomial_gram_f64(const fr_view_f64* x, int degree, double gamma, double coef0, double* out, uint32_t flags,
                           int threads) {
    return c::polynomial(x, degree, gamma, coef0, out, flags, threads);
}

int fr_delta_gram_f32(const fr_view_f32* x, double* out, uint32_t flags, int threads) {
    return c::delta(x, out, flags, threads);
}

int fr_delta_gram_f64(const fr_view_f64* x, double* out, uint32_t flags, int threads) {
    return c::delta(x, out, flags, threads);
}

int fr_delta_gram_i64(const fr_view_i64* x, double* out, uint32_t flags, int threads) {
    return c::delta(x, out, flags, threads);
}

int fr_distances_f32(const fr_view_f32* x, int p, float* out, uint32_t flags, int threads) {
    return c::distances(x, p, out, flags, threads);
}

int fr_distances_f64(const fr_view_f64* x, int p, double* out, uint32_t flags, int threads) {
    return c::distances(x, p, out, flags, threads);
}
