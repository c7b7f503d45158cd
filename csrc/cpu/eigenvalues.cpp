#include "cpu/eigenvalues.hpp"

#include <algorithm>
#include <string>

#include "common/error.hpp"
#include "common/interruption.hpp"
#include "cpu/band.hpp"
#include "cpu/lapack.hpp"
#include "cpu/safe_scale.hpp"
#include "cpu/subnormals.hpp"

namespace fastrenyi::cpu {
namespace {

constexpr index_t spread =
    40;  // so that columns of orders that are powers of two do not meet in the same lines of cache

std::size_t size(index_t count) {
    return static_cast<std::size_t>(count);
}

}  // namespace

template <class T>
Eigenvalues<T>::Eigenvalues(index_t n, int threads)
    : n_(n),
      order_((n + band_width - 1) / band_width * band_width),
      ld_(order_ + spread),
      threads_(threads),
      matrix_(size(order_ * ld_)),
      band_(size((order_ + 2 * band_width) * band_stride)),
      off_(size(n)) {}

template <class T>
void Eigenvalues<T>::solve(T* values) {
    const T scale = make_safe(matrix(), n_, ld_);
    solve_scaled(values);
    for (index_t i = 0; i < n_; ++i) values[i] *= scale;
}

template <class T>
void Eigenvalues<T>::solve_scaled(T* values) {
    const Subnormals are(Subnormals::zeros);
    std::fill(band_.begin(), band_.end(), T(0));
    reduce_to_band(matrix(), order_, ld_, band_.data(), threads_);
    reduce_band(band_.data(), n_, threads_);
    for (index_t i = 0; i < n_; ++i) {
        values[i] = band_[size(i * band_stride)];
        if (i + 1 < n_) off_[size(i)] = band_[size(i * band_stride + 1)];
    }
    stop_if_asked();
    int info = 0;
    lapack<T>().sterf(pass(static_cast<int>(n_)), values, off_.data(), &info);
    if (info > 0) throw LapackError("LAPACK's sterf did not converge (info = " + std::to_string(info) + ")");
}

template class Eigenvalues<float>;
template class Eigenvalues<double>;

}  // namespace fastrenyi::cpu
