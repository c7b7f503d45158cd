#include "cpu/lapack.hpp"

#include <atomic>

namespace fastrenyi::cpu {
namespace {

Lapack<float> singles;
Lapack<double> reals;
std::atomic<bool> there{false};

template <class T>
const Lapack<T>& if_there(const Lapack<T>& routines) {
    if (!there.load(std::memory_order_acquire)) throw NoLapack("LAPACK is needed, and was not loaded");
    return routines;
}

}  // namespace

void set_lapack(const Lapack<float>& single, const Lapack<double>& real) {
    singles = single;
    reals = real;
    there.store(true, std::memory_order_release);
}

template <>
const Lapack<float>& lapack() {
    return if_there(singles);
}

template <>
const Lapack<double>& lapack() {
    return if_there(reals);
}

}  // namespace fastrenyi::cpu
