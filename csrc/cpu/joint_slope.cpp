#include "ops/joint_slope.hpp"

#include <cmath>

#include "common/parallel.hpp"
#include "cpu/blocks.hpp"
#include "cpu/product.hpp"
#include "cpu/subsets.hpp"

namespace fastrenyi::cpu {
namespace {

/// Takes rows of a gradient to the factors of one matrix.
template <class T>
struct RowWorkspace {
    explicit RowWorkspace(index_t count, index_t n)
        : n(n), before(static_cast<std::size_t>((count + 1) * n)), after(static_cast<std::size_t>(n)) {}

    double* gradient() { return before.data(); }  ///< of a row of the scaled product, to be filled in first

    void add(const Product<T>& product, index_t b, index_t i, const std::vector<T*>& out) {
        const auto count = static_cast<index_t>(out.size());
        if (count <= 2) return add_one_or_two(product, b, i, out);
        for (index_t c = 0; c < count; ++c) {
            std::copy_n(&before[c * n], n, &before[(c + 1) * n]);
            product.multiply(c, i, &before[(c + 1) * n]);
        }
        std::fill(after.begin(), after.end(), 1.0);
        for (index_t c = count - 1; c >= 0; --c) {
            if (out[c])
                engine<T>().add_product_row(out[c] + (b * n + i) * n, &before[c * n], after.data(),
                                            1.0 / product.scale(c), n);
            if (c > 0) product.multiply(c, i, after.data());
        }
    }

    /// The usual case: nothing stands before or after a factor but the other one.
    void add_one_or_two(const Product<T>& product, index_t b, index_t i, const std::vector<T*>& out) {
        const auto count = static_cast<index_t>(out.size());
        for (index_t c = 0; c < count; ++c) {
            if (!out[c]) continue;
            T* const result = out[c] + (b * n + i) * n;
            const index_t other = count - 1 - c;
            if (count == 1) {
                engine<T>().add_factor_row(result, gradient(), nullptr, 1.0 / product.scale(c), n);
            } else if (const T* entries = product.contiguous(other, i)) {
                engine<T>().add_factor_row(result, gradient(), entries, 1.0 / product.scale(0) / product.scale(1), n);
            } else {
                std::fill(after.begin(), after.end(), 1.0);
                product.multiply(other, i, after.data());
                engine<T>().add_product_row(result, gradient(), after.data(), 1.0 / product.scale(c), n);
            }
        }
    }

    index_t n;
    std::vector<double> before, after;
};

/// Calls fill(product, k, b, i, row) for the gradient of each row of joint variable k, and takes it to the factors: all
/// variables of a row in turn, as they may have factors in common.
template <class T, class F>
void for_each_row(const std::vector<std::vector<View<T>>>& joints, const std::vector<std::vector<T*>>& out, int threads,
                  F fill) {
    const index_t batch = joints.front().front().batch, n = joints.front().front().rows;
    threads = thread_count(threads, 6.0 * batch * n * n * total(joints));
    for_each_block(batch, n, threads, [&](index_t b, index_t first, index_t last, int) {
        for (std::size_t k = 0; k < joints.size(); ++k) {
            stop_if_asked();
            const std::vector<View<T>> matrices = one_of_each(joints[k], b);
            const auto count = static_cast<index_t>(matrices.size());
            const Product<T> product(matrices.data(), count, n);
            if (product.trace() == 0.0) continue;  // nothing that has an entropy
            RowWorkspace<T> room(count, n);
            for (index_t i = first; i < last; ++i) {
                fill(product, k, b, i, room.gradient());
                room.add(product, b, i, out[k]);
            }
        }
    });
}

}  // namespace

template <class T>
void joint_slope(const std::vector<View<T>>& factors, const T* to_joint, const std::vector<T*>& out, int threads) {
    const index_t n = factors.front().rows;
    for_each_row<T>({factors}, {out}, threads,
                    [&](const Product<T>& product, std::size_t, index_t b, index_t i, double* row) {
                        // Of one factor the gradient itself, of several that of the product before it is divided by
                        // its trace.
                        const double weight = factors.size() == 1 ? product.scale(0) : 1.0 / product.trace();
                        for (index_t j = 0; j < n; ++j) row[j] = weight * to_joint[(b * n + i) * n + j];
                    });
}

template <class T>
void collision_slope(const std::vector<View<T>>& grams, const std::vector<std::vector<index_t>>& subsets,
                     const Purity* purities, const double* grads, double unit, const std::vector<T*>& out,
                     int threads) {
    const index_t batch = grams.front().batch;
    for_each_row(chosen(grams, subsets), chosen(out, subsets), threads,
                 [&](const Product<T>& product, std::size_t k, index_t b, index_t i, double* row) {
                     const index_t m = static_cast<index_t>(k) * batch + b;
                     const double weight = 2.0 * unit * grads[m] / std::log(2.0);
                     product.row(i, -weight / purities[m].squares, row);
                     row[i] += weight / product.trace();
                 });
}

template void joint_slope(const std::vector<View<float>>&, const float*, const std::vector<float*>&, int);
template void joint_slope(const std::vector<View<double>>&, const double*, const std::vector<double*>&, int);
template void collision_slope(const std::vector<View<float>>&, const std::vector<std::vector<index_t>>&, const Purity*,
                              const double*, double, const std::vector<float*>&, int);
template void collision_slope(const std::vector<View<double>>&, const std::vector<std::vector<index_t>>&, const Purity*,
                              const double*, double, const std::vector<double*>&, int);

}  // namespace fastrenyi::cpu
