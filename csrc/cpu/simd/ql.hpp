// Eigenvalues of interleaved symmetric tridiagonal matrices: root-free QL (Pal, Walker, Kahan) in lockstep.
#pragma once
#include "cpu/simd/lanes.hpp"

namespace fastrenyi::cpu::FASTRENYI_ISA {

/// G groups of lanes advance together, so that one group's division runs while another waits for its own.
/// d (n) and e2 (n - 1, room for n) of each group: the diagonal and the squared off-diagonal of matrices of norm about
/// one; d becomes the eigenvalues, in no order. Returns false if some lane has not converged after 30 n sweeps; `left`
/// (lanes x G) then counts what is left of each.
///
/// Each lane works on its own leading index l: it sweeps from the end up to l and stores nothing above, so that
/// its result does not depend on its neighbours. Rows below every lane's l need no mask. An off-diagonal below rounding
/// next to the norm is zero.
template <class T, int G>
bool root_free_ql(Vec<T>* const* d, Vec<T>* const* e2, index_t n, typename LanesOf<T>::Int (*l)[lanes<T>]) {
    using V = Vec<T>;
    using M = Mask<T>;
    using Int = typename LanesOf<T>::Int;
    const T negligible = LanesOf<T>::epsilon * LanesOf<T>::epsilon / 4;
    const V tiny = splat<T>(LanesOf<T>::tiny);
    for (int g = 0; g < G; ++g)
        for (int q = 0; q < lanes<T>; ++q) l[g][q] = 0;

    for (index_t sweep = 0; sweep < 30 * n; ++sweep) {
        V shift[G], s[G], gamma[G], p[G];
        M own[G];
        Int lowest = static_cast<Int>(n), highest = 0;
        for (int g = 0; g < G; ++g) {
            V a, b, square;
            for (int q = 0; q < lanes<T>; ++q) {
                Int& at = l[g][q];
                while (at < n - 1 && e2[g][at][q] <= negligible) e2[g][at++][q] = 0;
                if (at == n - 1) at = static_cast<Int>(n);  // done: nothing of it is stored any more
                lowest = at < lowest ? at : lowest;
                highest = at > highest ? at : highest;
                const Int row = at < n - 1 ? at : static_cast<Int>(n - 2);
                a[q] = d[g][row][q], b[q] = d[g][row + 1][q], square[q] = e2[g][row][q];
                own[g][q] = at;
            }
            // Wilkinson's shift from the two leading rows
            const V e = root_of<T>(larger(square, tiny * tiny));
            const V slope = (b - a) / (e + e), length = root_of<T>(slope * slope + T(1));
            shift[g] = a - e / (slope + (slope < V{} ? -length : length));
            s[g] = V{};
            gamma[g] = d[g][n - 1] - shift[g];
            gamma[g] = magnitude(gamma[g]) < tiny ? tiny : gamma[g];
            p[g] = gamma[g] * gamma[g];
        }
        if (lowest >= n) return true;
        const auto step = [&](auto masked, index_t i, int g) __attribute__((always_inline)) {
            const V diagonal = d[g][i], square = e2[g][i], r = p[g] + square;
            const V inverse = T(1) / (r * p[g]);  // one division for 1/r and 1/p
            const V over_r = p[g] * inverse, cosine = p[g] * over_r, sine = square * over_r;
            V next = cosine * (diagonal - shift[g]) - sine * gamma[g];
            next = magnitude(next) < tiny ? tiny : next;
            V below = gamma[g] + (diagonal - next), square_below = s[g] * r;
            if (decltype(masked)::value) {
                const M row = M{} + static_cast<Int>(i);
                const auto inside = row >= own[g];
                const auto stored = row + 1 >= own[g];
                below = inside ? below : gamma[g] + shift[g];
                square_below = inside ? square_below : s[g] * p[g];
                below = stored ? below : d[g][i + 1];
                square_below = stored ? square_below : e2[g][i + 1];
            }
            d[g][i + 1] = below;
            e2[g][i + 1] = square_below;
            p[g] = next * next * (r * (r * inverse));
            gamma[g] = next;
            s[g] = sine;
        };
        index_t i = n - 2;
        for (; i >= highest; --i)
            for (int g = 0; g < G; ++g) step(Constant<false>{}, i, g);
        for (; i >= lowest; --i)
            for (int g = 0; g < G; ++g) step(Constant<true>{}, i, g);
        for (int g = 0; g < G; ++g) {  // the row above the last, for the lanes that end there
            const auto ends = own[g] == M{} + lowest;
            d[g][lowest] = ends ? gamma[g] + shift[g] : d[g][lowest];
            e2[g][lowest] = ends ? s[g] * p[g] : e2[g][lowest];
        }
    }
    return false;
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
