#include "ops/spectrum.hpp"

#include "c/door.hpp"

namespace fastrenyi::c {
namespace {

template <class Given, class T>
int spectrum(const Given* given, T* values, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const View<T> a = accept_symmetric(given, "a", flags, threads);
        accept_pointer(values, "values", a.batch == 0);
        cpu::spectrum(a, values, threads);
    });
}

template <class Given, class T>
int eigh(const Given* given, T* values, T* vectors, std::uint32_t flags, int threads) {
    return guarded([&] {
        accept(flags, threads);
        const View<T> a = accept_symmetric(given, "a", flags, threads);
        accept_pointer(values, "values", a.batch == 0);
        accept_pointer(vectors, "vectors", a.batch == 0);
        cpu::eigh(a, values, vectors, threads);
    });
}

}  // namespace
}  // namespace fastrenyi::c

int fr_spectrum_f32(const fr_view_f32* a, float* values, uint32_t flags, int threads) {
    return fastrenyi::c::spectrum(a, values, flags, threads);
}

int fr_spectrum_f64(const fr_view_f64* a, double* values, uint32_t flags, int threads) {
    return fastrenyi::c::spectrum(a, values, flags, threads);
}

int fr_eigh_f32(const fr_view_f32* a, float* values, float* vectors, uint32_t flags, int threads) {
    return fastrenyi::c::eigh(a, values, vectors, flags, threads);
}

int fr_eigh_f64(const fr_view_f64* a, double* values, double* vectors, uint32_t flags, int threads) {
    return fastrenyi::c::eigh(a, values, vectors, flags, threads);
}
