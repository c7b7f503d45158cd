#include "cpu/collision_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {
namespace {

/// Squared Frobenius norm over squared trace, of the product of two maps (one if the same), and of that with the
/// target.
struct Purity {
    double alone, joint;
};

/// From the elements themselves, in double; the scale n keeps products of Grams of diagonal 1/n near one.
template <class T>
Purity direct_purity(const View<T>& a, const View<T>* b, const View<T>* target) {
    const index_t n = a.rows;
    const double size = static_cast<double>(n);
    double squares = 0.0, squares_joint = 0.0, trace = 0.0, trace_joint = 0.0;
    for (index_t r = 0; r < n; ++r)
        for (index_t c = r; c < n; ++c) {
            const double product = size * a.at(r, c) * (b ? size * b->at(r, c) : 1.0);
            const double with_target = target ? product * size * target->at(r, c) : 0.0;
            const double times = r == c ? 1.0 : 2.0;
            squares += times * product * product;
            squares_joint += times * with_target * with_target;
            if (r == c) trace += product, trace_joint += with_target;
        }
    return {squares / (trace * trace), squares_joint / (trace_joint * trace_joint)};
}

/// Sum over elements of the squared products of any two maps, (C, C) column-major lower triangle, weighted by the
/// squared target.
template <class T>
std::vector<double> squared_norms(const View<T>& maps, const View<T>* target, int threads) {
    const index_t count = maps.batch, n = maps.rows;
    const index_t chunk_rows = std::max<index_t>(1, (index_t(8) << 20) / (count * n * static_cast<index_t>(sizeof(T))));
    std::vector<T> squares(static_cast<std::size_t>(count * std::min(chunk_rows, n) * n));
    // The parts of a chunk are fixed, and BLAS is on one thread: neither, then, changes a bit of the sums.
    const index_t most_parts = count * count * static_cast<index_t>(sizeof(T)) <= index_t(4) << 20 ? 4 : 2;
    std::vector<T> products(static_cast<std::size_t>(most_parts * count * count));
    std::vector<double> sums(static_cast<std::size_t>(count * count), 0.0);
    const BlasThreads hold(1);
    const T size = static_cast<T>(n), root_two = static_cast<T>(std::sqrt(2.0));
    for (index_t first = 0; first < n; first += chunk_rows) {
        const index_t last = std::min(n, first + chunk_rows);
        index_t length = 0;  // of a map's part in this chunk: rows from the diagonal on
        for (index_t r = first; r < last; ++r) length += n - r;
        parallel_for(count, threads, [&](index_t i, int) {
            const View<T> map = maps.matrix(i);
            T* out = squares.data() + i * length;
            for (index_t r = first; r < last; ++r)
                for (index_t c = r; c < n; ++c) {
                    const T element = size * map.at(r, c);
                    *out++ = element * element * (r == c ? T(1) : root_two) * (target ? size * target->at(r, c) : T(1));
                }
        });
        const index_t parts = length < 1024 ? 1 : most_parts;  // long enough to outweigh the sums
        parallel_for(parts, threads, [&](index_t part, int) {
            const index_t start = length * part / parts, end = length * (part + 1) / parts;
            char lower = 'L', transposed = 'T';
            int order = static_cast<int>(count), inner = static_cast<int>(end - start), ld = static_cast<int>(length);
            T one = 1, zero = 0;
            lapack<T>().syrk(&lower, &transposed, &order, &inner, &one, squares.data() + start, &ld, &zero,
                             products.data() + part * count * count, &order);
        });
        parallel_for(count, threads, [&](index_t j, int) {
            for (index_t part = 0; part < parts; ++part)
                for (index_t k = j * count + j; k < (j + 1) * count; ++k) sums[k] += products[part * count * count + k];
        });
    }
    return sums;
}

}  // namespace

template <class T>
Verdict collision_pairs(const View<T>& maps, const View<T>* target, const index_t* pairs, index_t pair_count,
                        double unit, T* alone, T* joint, int threads) {
    const index_t count = maps.batch, n = maps.rows;
    const View<T> with = target ? target->matrix(0) : View<T>{};
    const bool many = pair_count > 4 * count;
    std::vector<double> norms, norms_joint;
    if (many) {
        norms = squared_norms<T>(maps, nullptr, threads);
        if (target) norms_joint = squared_norms<T>(maps, &with, threads);
    }
    std::vector<Verdict> verdicts(static_cast<std::size_t>(threads));
    const double size = static_cast<double>(n);
    parallel_for(pair_count, threads, [&](index_t k, int worker) {
        const index_t i = pairs[2 * k], j = pairs[2 * k + 1];
        const View<T> a = maps.matrix(i), b = maps.matrix(j);
        Purity purity{};
        if (many && i != j) {
            double trace = 0.0, trace_joint = 0.0;
            for (index_t r = 0; r < n; ++r) {
                const double product = size * a.at(r, r) * size * b.at(r, r);
                trace += product;
                if (target) trace_joint += product * size * with.at(r, r);
            }
            const index_t at = std::max(i, j) + std::min(i, j) * count;
            purity.alone = norms[at] / (trace * trace);
            if (target) purity.joint = norms_joint[at] / (trace_joint * trace_joint);
        } else {
            purity = direct_purity(a, i == j ? nullptr : &b, target ? &with : nullptr);
        }
        // Zero over zero: there is nothing in the product.
        if (std::isnan(purity.alone) || (target && std::isnan(purity.joint)))
            verdicts[worker].keep_first({Verdict::Kind::zero_trace, k, 0.0});
        alone[k] = static_cast<T>(-unit * std::log2(purity.alone) + 0.0);
        if (target) joint[k] = static_cast<T>(-unit * std::log2(purity.joint) + 0.0);
    });
    Verdict first;
    for (const Verdict& verdict : verdicts) first.keep_first(verdict);
    return first;
}

template Verdict collision_pairs(const View<float>&, const View<float>*, const index_t*, index_t, double, float*,
                                 float*, int);
template Verdict collision_pairs(const View<double>&, const View<double>*, const index_t*, index_t, double, double*,
                                 double*, int);

}  // namespace fastrenyi::cpu
