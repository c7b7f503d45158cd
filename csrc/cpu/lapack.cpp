#include "cpu/lapack.hpp"

#include <dlfcn.h>

namespace fastrenyi::cpu {
namespace {
Lapack lapack;
}

void set_lapack(const Lapack& pointers, const std::string& dependent_library) {
    lapack = pointers;
    void* library = dlopen(dependent_library.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (!library) return;
    for (const std::string prefix : {"scipy_", ""}) {
        const auto find = [&](const char* name) { return dlsym(library, (prefix + name).c_str()); };
        void *single = find("ssyevd_2stage_"), *real = find("dsyevd_2stage_");
        if (!single || !real) continue;
        lapack.ssyevd_2stage = reinterpret_cast<Syevd<float>*>(single);
        lapack.dsyevd_2stage = reinterpret_cast<Syevd<double>*>(real);
        return;
    }
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
Syevd<float>* syevd_2stage<float>() {
    return lapack.ssyevd_2stage;
}

template <>
Syevd<double>* syevd_2stage<double>() {
    return lapack.dsyevd_2stage;
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
