// What an entropy of order 2, and its slope, need of a joint variable.
#pragma once
#include <vector>

#include "common/view.hpp"

namespace fastrenyi::cpu {

/// Of a scaled product (see product.hpp): its squared Frobenius norm and its trace.
struct Purity {
    double squares = 0.0, trace = 0.0;
};

/// Of each joint variable of the batch.
template <class T>
std::vector<Purity> collision_purities(const std::vector<View<T>>& factors, int threads);

}  // namespace fastrenyi::cpu
