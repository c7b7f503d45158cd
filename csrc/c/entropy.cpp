#include "ops/entropy.hpp"

#include <limits>
#include <numeric>

#include "c/door.hpp"

namespace fastrenyi::c {
namespace {

template <class T>
int entropy(const T* spectra, index_t batch, index_t n, const double* orders, index_t order_count, double epsilon,
            T* out, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        accept_count(batch, 0, "batch");
        accept_count(n, 1, "n");
        accept_size(1.0 * batch * n, "spectra");
        accept_pointer(spectra, "spectra", batch == 0);
        accept_orders(orders, order_count, batch);
        epsilon = accept_epsilon(epsilon, std::numeric_limits<T>::epsilon());
        accept_pointer(out, "out", batch == 0);
        accept_finite(View<T>{spectra, 1, batch, n, 0, n, 1}, "spectra", flags, threads);
        judge(cpu::entropy(spectra, batch, n, orders, order_count, epsilon, 1.0, out, threads), "spectra");
    });
}

template <class Given, class T>
int collision_entropy(const Given* factors, index_t count, T* out, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const auto views = accept_factors(factors, count, flags, threads);
        accept_pointer(out, "out", views.front().batch == 0);
        std::vector<index_t> all(views.size());
        std::iota(all.begin(), all.end(), index_t(0));
        std::vector<cpu::Purity> purities(static_cast<std::size_t>(views.front().batch));
        judge(cpu::collision_entropy(views, {all}, 1.0, out, purities.data(), threads), "factors");
    });
}

}  // namespace
}  // namespace fastrenyi::c

int fr_entropy_f32(const float* spectra, int64_t batch, int64_t n, const double* orders, int64_t order_count,
                   double epsilon, float* out, uint32_t flags, int threads) {
    return fastrenyi::c::entropy(spectra, batch, n, orders, order_count, epsilon, out, flags, threads);
}

int fr_entropy_f64(const double* spectra, int64_t batch, int64_t n, const double* orders, int64_t order_count,
                   double epsilon, double* out, uint32_t flags, int threads) {
    return fastrenyi::c::entropy(spectra, batch, n, orders, order_count, epsilon, out, flags, threads);
}

int fr_collision_entropy_f32(const fr_view_f32* factors, int64_t count, float* out, uint32_t flags, int threads) {
    return fastrenyi::c::collision_entropy(factors, count, out, flags, threads);
}

int fr_collision_entropy_f64(const fr_view_f64* factors, int64_t count, double* out, uint32_t flags, int threads) {
    return fastrenyi::c::collision_entropy(factors, count, out, flags, threads);
}
