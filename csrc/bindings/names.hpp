// Kernels and metrics by the names that Python has for them.
#pragma once
#include <stdexcept>
#include <string>

#include "ops/gram.hpp"

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

}  // namespace fastrenyi::bindings
