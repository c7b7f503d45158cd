#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {
namespace {
Lapack lapack;
}

void set_lapack(const Lapack& pointers) {
    lapack = pointers;
}

template <>
Syevd<float>* syevd<float>() {
    return lapack.ssyevd;
}

template <>
Syevd<double>* syevd<double>() {
    return lapack.dsyevd;
}

template <>
Syrk<float>* syrk<float>() {
    return lapack.ssyrk;
}

template <>
Syrk<double>* syrk<double>() {
    return lapack.dsyrk;
}

}  // namespace fastrenyi::cpu
