// Contents page of the module _core: what it offers, and where LAPACK comes from.
#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
#include "common/parallel.hpp"
#include "cpu/blas_threads.hpp"
#include "cpu/dispatch.hpp"
#include "cpu/lapack.hpp"

namespace fastrenyi::bindings {
namespace {

template <class F>
F* scipy_pointer(const py::module_& library, const char* name) {
    const py::capsule capsule = py::dict(library.attr("__pyx_capi__"))[name];
    // Cython stores the C signature as the capsule's name; with 64-bit integers the calls below would be wrong.
    if (std::string(capsule.name()).find(" *, int *") == std::string::npos)
        throw py::import_error("fastrenyi: SciPy's LAPACK does not take 32-bit integers: " +
                               std::string(capsule.name()) + "; install a SciPy built with the usual (LP64) LAPACK");
    return reinterpret_cast<F*>(capsule.get_pointer());
}

template <class T>
cpu::Lapack<T> scipy_routines(const py::module_& lapack, const py::module_& blas, const std::string& letter) {
    const auto take = [&](const py::module_& library, const char* name, auto& function) {
        function = scipy_pointer<std::remove_pointer_t<std::remove_reference_t<decltype(function)>>>(
            library, (letter + name).c_str());
    };
    cpu::Lapack<T> routines;
    take(lapack, "syevd", routines.syevd);
    take(lapack, "sterf", routines.sterf);
    take(lapack, "geqrt3", routines.geqrt3);
    take(blas, "gemm", routines.gemm);
    take(blas, "syrk", routines.syrk);
    return routines;
}

void connect_lapack() {
    const auto lapack = py::module_::import("scipy.linalg.cython_lapack");
    const auto blas = py::module_::import("scipy.linalg.cython_blas");
    const std::string file = py::str(lapack.attr("__file__"));
    cpu::set_lapack(scipy_routines<float>(lapack, blas, "s"), scipy_routines<double>(lapack, blas, "d"));
    cpu::set_blas_controls(file);
}

void choose_engine() {
    try {
        cpu::choose_isa();
    } catch (const std::invalid_argument& error) {
        throw py::import_error(error.what());
    }
}

py::dict build_info() {
    py::dict info;
    info["version"] = FASTRENYI_VERSION;
    info["isa"] = cpu::compiled_isas();
    info["isa_in_use"] = cpu::isa_in_use();
    info["openmp"] = std::to_string(_OPENMP);
#if defined(__GNUC__) && !defined(__clang__)
    info["compiler"] = "GCC " __VERSION__;  // the others' begins with their name
#else
    info["compiler"] = __VERSION__;
#endif
    return info;
}

}  // namespace
}  // namespace fastrenyi::bindings

// One interpreter, as NumPy; fastrenyi._loading says so before pybind11, which from an interpreter of Python 3.11
// hangs. Not declared free of the GIL: a free-threaded Python switches its GIL on, and says so, when it loads this.
PYBIND11_MODULE(_core, m, pybind11::multiple_interpreters::not_supported()) {
    namespace b = fastrenyi::bindings;
    b::connect_lapack();
    b::choose_engine();
    b::find_main_thread();
    b::bind_inspect(m);
    b::bind_gram(m);
    b::bind_linear_gram(m);
    b::bind_hadamard(m);
    b::bind_kernel_tile(m);
    b::bind_tile_product(m);
    b::bind_spectrum(m);
    b::bind_entropy(m);
    b::bind_pairs(m);
    b::bind_slope(m);
    m.attr("__version__") = FASTRENYI_VERSION;
    m.def("build_info", &b::build_info);
    m.def("blas_info", &fastrenyi::cpu::blas_configuration);
    m.def("max_threads", [] { return fastrenyi::thread_count(0); });
    m.def("expect_delay", &fastrenyi::expect_delay, pybind11::arg("seconds"));
}
