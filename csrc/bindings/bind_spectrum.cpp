#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
#include "ops/spectrum.hpp"

namespace fastrenyi::bindings {
namespace {

py::object spectrum(const py::array& a, int threads, const std::optional<py::array>& out) {
    return with_dtype_of<double, float>(a, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> matrices = square_view<T>(a);
        py::array_t<T> values = result_in<T>(out, {matrices.batch, matrices.rows});
        T* result = values.mutable_data();
        {
            const Released released;
            cpu::spectrum(matrices, result, threads);
        }
        return values;
    });
}

py::object eigh(const py::array& a, int threads) {
    return with_dtype_of<double, float>(a, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> matrices = square_view<T>(a);
        py::array_t<T> values({matrices.batch, matrices.rows});
        py::array_t<T> vectors({matrices.batch, matrices.rows, matrices.rows});
        T *first = values.mutable_data(), *second = vectors.mutable_data();
        {
            const Released released;
            cpu::eigh(matrices, first, second, threads);
        }
        return py::make_tuple(values, vectors);
    });
}

}  // namespace

void bind_spectrum(py::module_& m) {
    m.def("spectrum", &spectrum, py::arg("a"), py::arg("threads"), py::arg("out") = py::none());
    m.def("eigh", &eigh, py::arg("a"), py::arg("threads"));
}

}  // namespace fastrenyi::bindings
