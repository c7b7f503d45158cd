// LAPACK for programs without Python: from a library that is named.
#include "cpu/lapack.hpp"

#include <dlfcn.h>

#include <memory>
#include <mutex>

#include "c/door.hpp"
#include "cpu/blas_threads.hpp"

namespace fastrenyi::c {
namespace {

struct Close {
    void operator()(void* library) const { dlclose(library); }
};

/// Takes names as a compiler of Fortran makes them, behind a prefix.
class Names {
  public:
    Names(void* library, std::string prefix) : library_(library), prefix_(std::move(prefix)) {}

    /// False, and `missing` is what was looked for, where it is not there.
    template <class F>
    bool take(const std::string& name, F*& function) {
        missing = prefix_ + name + "_";
        function = reinterpret_cast<F*>(dlsym(library_, missing.c_str()));
        return function;
    }

    template <class T>
    bool take(const std::string& letter, cpu::Lapack<T>& routines) {
        return take(letter + "syevd", routines.syevd) && take(letter + "sterf", routines.sterf) &&
               take(letter + "geqrt3", routines.geqrt3) && take(letter + "gemm", routines.gemm) &&
               take(letter + "syrk", routines.syrk);
    }

    std::string missing;

  private:
    void* library_;
    std::string prefix_;
};

/// Whether integers are of 32 bits: where they are of 64, the length of these vectors is below zero, and the product 0.
bool takes_short_integers(double (*dot)(const int*, const double*, const int*, const double*, const int*)) {
    const int length[] = {1, -1}, step[] = {1, 0};
    const double one = 1.0;
    return dot(length, &one, step, &one, step) == 1.0;
}

void load(const char* file) {
    const std::string name = file ? file : "the program itself";
    std::unique_ptr<void, Close> library(dlopen(file, RTLD_LAZY | RTLD_LOCAL));
    if (!library) {
        const char* reason = dlerror();
        refuse("library", "one that can be loaded", reason ? reason : name);
    }
    cpu::Lapack<float> single;
    cpu::Lapack<double> real;
    double (*dot)(const int*, const double*, const int*, const double*, const int*) = nullptr;
    Names plain(library.get(), ""), scipy(library.get(), "scipy_");  // which its OpenBLAS has
    const auto takes_all = [&](Names& names) {
        return names.take("ddot", dot) && names.take("s", single) && names.take("d", real);
    };
    if (!takes_all(plain) && !takes_all(scipy))
        refuse("library", "LAPACK and BLAS", "no " + plain.missing + " in " + name);
    if (!takes_short_integers(dot)) refuse("library", "LAPACK of 32-bit integers", "64-bit ones in " + name);
    cpu::set_blas_controls(file ? file : "");
    cpu::set_lapack(single, real);
    library.release();  // for good
}

}  // namespace
}  // namespace fastrenyi::c

int fr_load_lapack(const char* library) {
    using namespace fastrenyi::c;
    return guarded([&] {
        static std::mutex one_at_a_time;
        static bool loaded = false;
        const std::lock_guard<std::mutex> lock(one_at_a_time);
        if (loaded) return;
        load(library);
        loaded = true;
    });
}
