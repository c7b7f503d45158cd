// Joint variables as subsets of arrays.
#pragma once
#include <vector>

#include "common/view.hpp"

namespace fastrenyi::cpu {

/// Matrix b of each factor.
template <class T>
std::vector<View<T>> one_of_each(const std::vector<View<T>>& factors, index_t b) {
    std::vector<View<T>> matrices;
    matrices.reserve(factors.size());
    for (const View<T>& factor : factors) matrices.push_back(factor.matrix(b));
    return matrices;
}

/// The arrays of each subset, by position.
template <class T>
std::vector<std::vector<T>> chosen(const std::vector<T>& all, const std::vector<std::vector<index_t>>& subsets) {
    std::vector<std::vector<T>> found;
    found.reserve(subsets.size());
    for (const std::vector<index_t>& subset : subsets) {
        found.emplace_back();
        for (const index_t position : subset) found.back().push_back(all[static_cast<std::size_t>(position)]);
    }
    return found;
}

/// How many there are in all subsets.
template <class T>
index_t total(const std::vector<std::vector<T>>& subsets) {
    std::size_t count = 0;
    for (const std::vector<T>& subset : subsets) count += subset.size();
    return static_cast<index_t>(count);
}

}  // namespace fastrenyi::cpu
