#include "ops/hadamard.hpp"

#include "c/door.hpp"

namespace fastrenyi::c {
namespace {

template <class Given, class T>
int hadamard(const Given* factors, index_t count, T* out, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const auto views = accept_factors(factors, count, flags, threads);
        accept_pointer(out, "out", views.front().batch == 0);
        judge(cpu::hadamard(views, out, threads), "factors");
    });
}

}  // namespace
}  // namespace fastrenyi::c

int fr_hadamard_f32(const fr_view_f32* factors, int64_t count, float* out, uint32_t flags, int threads) {
    return fastrenyi::c::hadamard(factors, count, out, flags, threads);
}

int fr_hadamard_f64(const fr_view_f64* factors, int64_t count, double* out, uint32_t flags, int threads) {
    return fastrenyi::c::hadamard(factors, count, out, flags, threads);
}
