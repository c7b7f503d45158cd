// Eigenvalues of symmetric tridiagonal matrices by root-free QL (Pal, Walker, Kahan), a thread to a matrix.
//
// Element i of all matrices stands together in memory, so that threads which are at the same row read neighbours.
#pragma once
#include "cuda/real.hpp"

namespace fastrenyi::cuda {

/// d (n) and e2 (n - 1, room for n), elements `stride` apart: the diagonal and the squared off-diagonal of a matrix of
/// norm about one; d becomes the eigenvalues, in no order. False if it has not converged after 30 n sweeps. An
/// off-diagonal below rounding next to the norm is zero.
template <class T>
FASTRENYI_DEVICE bool root_free_ql(T* d, T* e2, index_t n, index_t stride) {
    constexpr T negligible = Real<T>::epsilon * Real<T>::epsilon / 64, tiny = Real<T>::tiny;
    const auto away_from_zero = [](T x) { return magnitude(x) < Real<T>::tiny ? Real<T>::tiny : x; };
    index_t l = 0;  // rows above are done
    for (index_t sweep = 0; sweep < 30 * n; ++sweep) {
        while (l < n - 1 && e2[l * stride] <= negligible) ++l;
        if (l >= n - 1) return true;
        // Wilkinson's shift from the two leading rows
        const T first = d[l * stride], square = e2[l * stride];
        const T e = std::sqrt(square > tiny * tiny ? square : tiny * tiny);
        const T slope = (d[(l + 1) * stride] - first) / (e + e), length = std::sqrt(slope * slope + T(1));
        const T shift = first - e / (slope + (slope < T(0) ? -length : length));
        T s = 0, gamma = away_from_zero(d[(n - 1) * stride] - shift), p = gamma * gamma;
        for (index_t i = n - 2; i >= l; --i) {
            const T diagonal = d[i * stride], e2_here = e2[i * stride], r = p + e2_here;
            const T inverse = T(1) / (r * p);  // one division for 1/r and 1/p
            const T over_r = p * inverse, cosine = p * over_r, sine = e2_here * over_r;
            const T next = away_from_zero(cosine * (diagonal - shift) - sine * gamma);
            d[(i + 1) * stride] = gamma + (diagonal - next);
            e2[(i + 1) * stride] = s * r;
            p = next * next * (r * (r * inverse));
            gamma = next;
            s = sine;
        }
        d[l * stride] = gamma + shift;
        e2[l * stride] = s * p;
    }
    return false;
}

}  // namespace fastrenyi::cuda
