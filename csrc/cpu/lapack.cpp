#include "cpu/lapack.hpp"

#include <dlfcn.h>

namespace fastrenyi::cpu {
namespace {

Lapack<float> singles;
Lapack<double> reals;

template <class F>
bool find(void* library, const std::string& name, F& function) {
    function = reinterpret_cast<F>(dlsym(library, name.c_str()));
    return function;
}

}  // namespace

void set_lapack(const Lapack<float>& single, const Lapack<double>& real, const std::string& dependent_library) {
    singles = single;
    reals = real;
    void* library = dlopen(dependent_library.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (!library) return;
    for (const std::string prefix : {"scipy_", ""})
        if (find(library, prefix + "ssytrd_sb2st_", singles.sytrd_sb2st) &&
            find(library, prefix + "dsytrd_sb2st_", reals.sytrd_sb2st))
            return;
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
