#include "cpu/eigenvalues.hpp"

#include <algorithm>
#include <string>

#include "common/error.hpp"
#include "common/interruption.hpp"
#include "cpu/lapack.hpp"
#include "cpu/safe_scale.hpp"

namespace fastrenyi::cpu {
namespace {

/// Of matrices that leave the cache, from this size on, eigenvalues alone are quicker by way of a band matrix, which
/// reads them fewer times; measured, see benchmarks/README.md.
constexpr index_t by_band_bytes = index_t(64) << 20;

constexpr int block = 32;  // columns to a step of either way, as LAPACK has it

}  // namespace

template <class T>
Eigenvalues<T>::Eigenvalues(index_t n)
    : n_(static_cast<int>(n)),
      by_band_(n * n * index_t(sizeof(T)) >= by_band_bytes && lapack<T>().sytrd_sb2st),
      off_(static_cast<std::size_t>(n)),
      tau_(off_.size()),
      work_(off_.size() * block) {
    if (!by_band_) return;
    band_.resize(off_.size() * (block + 1));
    products_.resize((off_.size() + 2 * block) * block);
    reflections_.resize(1);
    reduce_band(nullptr, -1, -1);  // asks for the sizes
    // LAPACK tells them in a T, which may have rounded them down.
    const auto told = [](T size) { return static_cast<std::size_t>(static_cast<double>(size) * (1.0 + 1e-6)) + 1; };
    reflections_.resize(told(reflections_[0]));
    work_.resize(std::max(work_.size(), told(work_[0])));
}

template <class T>
T* Eigenvalues<T>::scratch() {
    scratch_.resize(off_.size() * off_.size());
    return scratch_.data();
}

/// xSYTRD.
template <class T>
void Eigenvalues<T>::reduce(T* a, T* diagonal) {
    const Lapack<T>& by = lapack<T>();
    index_t i = 0;
    for (; i < n_ - block; i += block) {
        stop_if_asked();
        const int left = n_ - static_cast<int>(i);
        T *const corner = a + i * (n_ + 1), *const after = corner + block * index_t(n_ + 1);
        by.latrd(pass('L'), pass(+left), pass(+block), corner, &n_, &off_[i], &tau_[i], work_.data(), &n_);
        by.syr2k(pass('L'), pass('N'), pass(left - block), pass(+block), pass(T(-1)), corner + block, &n_,
                 work_.data() + block, &n_, pass(T(1)), after, &n_);
        for (index_t j = i; j < i + block; ++j) diagonal[j] = a[j * (n_ + 1)];
    }
    int info = 0;
    by.sytd2(pass('L'), pass(n_ - static_cast<int>(i)), a + i * (n_ + 1), &n_, diagonal + i, &off_[i], &tau_[i], &info);
}

/// xSYTRD_SY2SB.
template <class T>
void Eigenvalues<T>::reduce_to_band(T* a) {
    const Lapack<T>& by = lapack<T>();
    T *const w = work_.data(), *const vt = products_.data(), *const small = vt + block * index_t(n_),
             *const t = small + block * block;
    std::fill_n(t, block * block, T(0));
    const auto keep = [&](index_t first, index_t last) {
        for (index_t j = first; j < last; ++j)
            std::copy_n(a + j * (n_ + 1), std::min<index_t>(block + 1, n_ - j), &band_[j * (block + 1)]);
    };
    for (index_t i = 0; i < n_ - block; i += block) {
        stop_if_asked();
        int left = n_ - static_cast<int>(i) - block, columns = std::min(left, block), width = block, info = 0;
        T *const v = a + i * (n_ + 1) + block, *const after = v + block * index_t(n_);
        T zero = 0, one = 1, minus_one = -1, minus_half = -0.5;
        by.geqrf(&left, &width, v, &n_, &tau_[i], vt, pass(block * n_), &info);
        keep(i, i + columns);
        for (index_t j = 0; j < columns; ++j) {  // what was above the reflections is their first element, and zeros
            std::fill_n(v + j * n_, j, zero);
            v[j * (n_ + 1)] = one;
        }
        by.larft(pass('F'), pass('C'), &left, &columns, v, &n_, &tau_[i], t, &width);
        by.gemm(pass('N'), pass('N'), &left, &columns, &columns, &one, v, &n_, t, &width, &zero, vt, &n_);
        by.symm(pass('L'), pass('L'), &left, &columns, &one, after, &n_, vt, &n_, &zero, w, &n_);
        by.gemm(pass('T'), pass('N'), &columns, &columns, &left, &one, vt, &n_, w, &n_, &zero, small, &width);
        by.gemm(pass('N'), pass('N'), &left, &columns, &columns, &minus_half, v, &n_, small, &width, &one, w, &n_);
        stop_if_asked();
        by.syr2k(pass('L'), pass('N'), &left, &columns, &minus_one, v, &n_, w, &n_, &one, after, &n_);
    }
    keep(n_ - block, n_);
}

/// In one piece, of n = 6,000 in a second or two.
template <class T>
void Eigenvalues<T>::reduce_band(T* diagonal, int reflections_size, int work_size) {
    int info = 0;
    lapack<T>().sytrd_sb2st(pass('Y'), pass('N'), pass('L'), &n_, pass(+block), band_.data(), pass(block + 1), diagonal,
                            off_.data(), reflections_.data(), &reflections_size, work_.data(), &work_size, &info);
}

template <class T>
void Eigenvalues<T>::solve(T* a, T* values) {
    const T size = make_safe(a, n_, n_);
    if (by_band_) {
        reduce_to_band(a);
        stop_if_asked();
        reduce_band(values, static_cast<int>(reflections_.size()), static_cast<int>(work_.size()));
    } else {
        reduce(a, values);
    }
    stop_if_asked();
    int info = 0;
    lapack<T>().sterf(&n_, values, off_.data(), &info);
    if (info > 0) throw LapackError("LAPACK's sterf did not converge (info = " + std::to_string(info) + ")");
    for (index_t i = 0; i < n_; ++i) values[i] *= size;
}

template class Eigenvalues<float>;
template class Eigenvalues<double>;

}  // namespace fastrenyi::cpu
