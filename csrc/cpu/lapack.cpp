#include "cpu/lapack.hpp"

namespace fastrenyi::cpu {
namespace {

Lapack<float> singles;
Lapack<double> reals;

}  // namespace

void set_lapack(const Lapack<float>& single, const Lapack<double>& real) {
    singles = single;
    reals = real;
}

template <>
const Lapack<float>& lapack() {
    return singles;
}

template <>
const Lapack<double>& lapack() {
    return reals;
}

}  // namespace fastrenyi::cpu
