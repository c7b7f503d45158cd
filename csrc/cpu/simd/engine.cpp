// The spectrum engine. Compiled once per instruction set: FASTRENYI_ISA names it, FASTRENYI_LANE_BYTES is its vector.
#include "cpu/simd/engine.hpp"

#include "cpu/simd/bulge.hpp"
#include "cpu/simd/dense.hpp"
#include "cpu/simd/gram.hpp"
#include "cpu/simd/interleave.hpp"
#include "cpu/simd/jacobi.hpp"
#include "cpu/simd/panels.hpp"
#include "cpu/simd/power.hpp"
#include "cpu/simd/ql.hpp"
#include "cpu/simd/resolvent.hpp"
#include "cpu/simd/rows.hpp"
#include "cpu/simd/sort.hpp"
#include "cpu/simd/symmetry.hpp"
#include "cpu/simd/tridiagonal.hpp"

#define FASTRENYI_TEXT_(x) #x
#define FASTRENYI_TEXT(x) FASTRENYI_TEXT_(x)

namespace fastrenyi::cpu::FASTRENYI_ISA {
namespace {

static_assert(lanes<float> <= most_lanes && pole_multiple % poles == 0);

/// The power of two not above x, so that dividing by it is exact; 1 for 0.
template <class T>
Vec<T> power_of_two(Vec<T> x) {
    // A cast between vectors keeps the bits: the exponent's are those of infinity.
    const Vec<T> power = (Vec<T>)((Mask<T>)x & (Mask<T>)splat<T>(LanesOf<T>::infinity));
    return power > Vec<T>{} ? power : splat<T>(1);
}

template <class T>
bool any_outside(Vec<T> x, T low, T high) {
    for (int q = 0; q < lanes<T>; ++q)
        if (x[q] != 0 && !(x[q] >= low && x[q] <= high)) return true;
    return false;
}

template <class T>
struct Workspace {
    Vec<T>*packed, *reduction, *d[most_groups], *e2[most_groups];
    Workspace(void* memory, index_t n) {
        packed = static_cast<Vec<T>*>(memory);
        reduction = packed + n * (n + 1) / 2;
        for (index_t g = 0; g < most_groups; ++g) {
            d[g] = reduction + (4 + 2 * g) * n;
            e2[g] = d[g] + n;
        }
    }
    static index_t bytes(index_t n) {
        return (n * (n + 1) / 2 + (4 + 2 * most_groups) * n) * static_cast<index_t>(sizeof(Vec<T>));
    }
};

/// Fills a group's packed triangle and reduces it; returns the scale the diagonals were divided by, norm about one.
template <class T>
Vec<T> reduce_group(const Lane<T>* const* items, index_t n, const Symmetric<T>* common, T scale, Workspace<T>& space,
                    index_t g, Rest* rest) {
    Vec<T> size = splat<T>(1);
    const Vec<T> largest = items[0]->second.data ? interleave<T, true>(items, n, common, scale, space.packed)
                                                 : interleave<T, false>(items, n, common, scale, space.packed);
    // Squares of elements must stay far from the ends of the range; only data of extreme scale pay for this.
    if (any_outside<T>(largest, LanesOf<T>::low, LanesOf<T>::high)) {
        size = power_of_two<T>(largest);
        for (index_t k = 0; k < n * (n + 1) / 2; ++k) space.packed[k] /= size;
    }
    tridiagonalise<T>(space.packed, n, space.d[g], space.e2[g], space.reduction, rest);
    Vec<T> norm = Vec<T>{};
    for (index_t i = 0; i < n; ++i) norm = larger(norm, magnitude(space.d[g][i]));
    for (index_t i = 0; i < n - 1; ++i) norm = larger(norm, root_of<T>(space.e2[g][i]));
    norm = power_of_two<T>(norm);
    for (index_t i = 0; i < n; ++i) space.d[g][i] /= norm;
    for (index_t i = 0; i < n - 1; ++i) space.e2[g][i] = space.e2[g][i] / norm / norm;
    return size * norm;
}

/// The eigenvalues of the groups' tridiagonal matrices, which were divided by size[].
template <class T>
void solve(Workspace<T>& space, index_t groups, const Vec<T>* size, index_t count, index_t n, T* values, index_t ld,
           bool* failed) {
    using Int = typename LanesOf<T>::Int;
    Int left[most_groups][lanes<T>];
    switch (groups) {
        case 1:
            root_free_ql<T, 1>(space.d, space.e2, n, left);
            break;
        case 2:
            root_free_ql<T, 2>(space.d, space.e2, n, left);
            break;
        case 3:
            root_free_ql<T, 3>(space.d, space.e2, n, left);
            break;
        default:
            root_free_ql<T, 4>(space.d, space.e2, n, left);
            break;
    }
    for (index_t g = 0; g < groups; ++g) {
        sort_lanes<T>(space.d[g], n);
        for (index_t i = 0; i < n; ++i) space.d[g][i] *= size[g];
        for (index_t q = 0; q < lanes<T> && g * lanes<T> + q < count; ++q) {
            const index_t k = g * lanes<T> + q;
            for (index_t i = 0; i < n; ++i) values[k * ld + i] = space.d[g][i][q];
            failed[k] = left[g][q] < static_cast<Int>(n);
        }
    }
}

template <class T>
void spectra(const Lane<T>* items, index_t count, index_t n, const Symmetric<T>* common, T scale, T* values, index_t ld,
             bool* failed, void* workspace, Rest* rest) {
    Workspace<T> space(workspace, n);
    const index_t groups = (count + lanes<T> - 1) / lanes<T>;
    Vec<T> size[most_groups];
    for (index_t g = 0; g < groups; ++g) {
        const Lane<T>* in_lane[lanes<T>];  // lanes that are left over repeat the last matrix
        for (int q = 0; q < lanes<T>; ++q) {
            const index_t k = g * lanes<T> + q;
            in_lane[q] = items + (k < count ? k : count - 1);
        }
        size[g] = reduce_group(in_lane, n, common, scale, space, g, rest);
    }
    solve<T>(space, groups, size, count, n, values, ld, failed);
}

template <class T>
void tridiagonal_spectra(const T* diagonals, const T* off, index_t stride, index_t count, index_t n, T* values,
                         index_t ld, bool* failed, void* workspace) {
    Workspace<T> space(workspace, n);
    Vec<T>*const d = space.d[0], *const e2 = space.e2[0];
    for (int q = 0; q < lanes<T>; ++q) {
        const index_t k = stride * (q < count ? q : count - 1);
        for (index_t i = 0; i < n; ++i) d[i][q] = diagonals[k + i];
        for (index_t i = 0; i < n - 1; ++i) e2[i][q] = off[k + i];
    }
    Vec<T> norm = Vec<T>{};
    for (index_t i = 0; i < n; ++i) norm = larger(norm, magnitude(d[i]));
    for (index_t i = 0; i < n - 1; ++i) norm = larger(norm, magnitude(e2[i]));
    const Vec<T> size = power_of_two<T>(norm);  // before the squares, which could leave the range
    for (index_t i = 0; i < n; ++i) d[i] /= size;
    for (index_t i = 0; i < n - 1; ++i) e2[i] = (e2[i] / size) * (e2[i] / size);
    solve<T>(space, 1, &size, count, n, values, ld, failed);
}

template <class T>
constexpr Engine<T> table = {FASTRENYI_TEXT(FASTRENYI_ISA),
                             lanes<T>,
                             &Workspace<T>::bytes,
                             &spectra<T>,
                             &tridiagonal_spectra<T>,
                             &padded<T>,
                             &reduce<T>,
                             &expand<T>,
                             &add_resolvents<T>,
                             &chase<T>,
                             &rotate_to_diagonal<T>,
                             &extent<T>,
                             &scale_row<T>,
                             &multiply_row<T>,
                             &add_product_row<T, double>,
                             &add_product_row<T, T>,
                             &all_finite<T>,
                             &largest<T>,
                             &sum<T>,
                             &squares<T>,
                             &scale<T>,
                             &subtract<T>,
                             &weigh_rows<T>,
                             &pull_rows<T, false>,
                             &pull_rows<T, true>,
                             &sum_p_log_p,
                             &sum_power_excess,
                             &add_block<T>,
                             &add_rows<T>,
                             &pack<T>,
                             &add_products<T>,
                             &distances_of_products,
                             &squared_distance<T>,
                             &mirror<T>,
                             &exponentials};

}  // namespace

const Engine<float>& engine_float() {
    return table<float>;
}
const Engine<double>& engine_double() {
    return table<double>;
}

}  // namespace fastrenyi::cpu::FASTRENYI_ISA
