// NumPy arrays to views. Python has checked kind, dtype, alignment and number of axes before it calls.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>

#include "common/error.hpp"
#include "common/view.hpp"

namespace fastrenyi::bindings {

namespace py = pybind11;

void bind_gram(py::module_& m);
void bind_hadamard(py::module_& m);
void bind_spectrum(py::module_& m);
void bind_entropy(py::module_& m);
void bind_pairs(py::module_& m);
void bind_slope(py::module_& m);
void bind_inspect(py::module_& m);

template <class T>
View<T> view(const py::array& a) {
    if (a.ndim() != 3) throw std::invalid_argument("expected an array of 3 axes");
    const auto stride = [&](int axis) { return a.strides(axis) / static_cast<index_t>(sizeof(T)); };
    return {static_cast<const T*>(a.data()), a.shape(0), a.shape(1), a.shape(2), stride(0), stride(1), stride(2)};
}

template <class T>
View<T> square_view(const py::array& a) {
    const View<T> result = view<T>(a);
    if (result.rows != result.cols || result.rows == 0)
        throw std::invalid_argument("expected square matrices of order 1 or more");
    return result;
}

/// Runs call(T{}) with the C++ type of the array's elements, one of Ts.
template <class T, class... Ts, class F>
py::object with_dtype_of(const py::array& a, F call) {
    if (py::isinstance<py::array_t<T>>(a)) return call(T{});
    if constexpr (sizeof...(Ts) > 0)
        return with_dtype_of<Ts...>(a, call);
    else
        throw std::invalid_argument("no kernel for this dtype");
}

/// None for a fine verdict, else (kind, index, value).
inline py::object to_python(const Verdict& verdict) {
    if (verdict.kind == Verdict::Kind::fine) return py::none();
    const char* kind = verdict.kind == Verdict::Kind::indefinite ? "indefinite" : "zero trace";
    return py::make_tuple(kind, verdict.index, verdict.value);
}

}  // namespace fastrenyi::bindings
