// From the gradient of an entropy of a joint Gram to those of its factors.
//
//   factors   one view (b, n, n) per variable, any strides (zero to broadcast), symmetric, of positive traces
//   to_joint  (b, n, n), dense: the gradient with respect to the trace-one product of the factors, as slope() gives it,
//             or to the matrix itself where there is one factor
//   out       (b, n, n), dense, per factor, or null: what is found is ADDED to it
//
// At order 2 no spectrum and no gradient of a joint Gram is needed, dS_2/dP = 2 / ln 2 (I / tr P - P / |P|^2), and all
// entropies of a measure go back to their Grams at once:
//
//   subsets   of the Grams, by position: the joint variables
//   purities  (subsets, b), as collision_entropy() gives them
//   grads     (subsets, b), what their entropies are to be weighed with
//
// An entropy does not change with the scale of a product, so that <dS/dJ, J> = 0, and the gradient to a factor is that
// to J times the others over the trace of all, at any scale of the others. Products run in double. Results do not
// depend on the number of threads.
#pragma once
#include <vector>

#include "common/view.hpp"
#include "ops/entropy.hpp"

namespace fastrenyi::cpu {

/// Workspace: per thread (number of factors + 3) n doubles.
template <class T>
void joint_slope(const std::vector<View<T>>& factors, const T* to_joint, const std::vector<T*>& out, int threads);

template <class T>
void collision_slope(const std::vector<View<T>>& grams, const std::vector<std::vector<index_t>>& subsets,
                     const Purity* purities, const double* grads, double unit, const std::vector<T*>& out, int threads);

}  // namespace fastrenyi::cpu
