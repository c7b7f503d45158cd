// Kernels, metrics and sides by the names that Python has for them.
#pragma once
#include <stdexcept>
#include <string>

#include "ops/gram.hpp"
#include "ops/linear_gram.hpp"

namespace fastrenyi::bindings {

inline Kernel kernel_named(const std::string& kind) {
    if (kind == "gaussian") return Kernel::gaussian;
    if (kind == "laplacian") return Kernel::laplacian;
    if (kind == "polynomial") return Kernel::polynomial;
    throw std::invalid_argument("no such kernel: " + kind);
}

inline Metric metric_named(const std::string& metric) {
    if (metric == "euclidean") return Metric::euclidean;
    if (metric == "manhattan") return Metric::manhattan;
    throw std::invalid_argument("no such metric: " + metric);
}

inline Side side_named(const std::string& side) {
    if (side == "samples") return Side::samples;
    if (side == "features") return Side::features;
    if (side == "smaller") return Side::smaller;
    throw std::invalid_argument("no such side: " + side);
}

}  // namespace fastrenyi::bindings
