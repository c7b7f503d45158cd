// NumPy arrays to views. Python has checked kind, dtype, alignment and number of axes before it calls.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "common/error.hpp"
#include "common/view.hpp"

namespace fastrenyi::bindings {

namespace py = pybind11;

void bind_gram(py::module_& m);
void bind_hadamard(py::module_& m);
void bind_linear_gram(py::module_& m);
void bind_kernel_tile(py::module_& m);
void bind_tile_product(py::module_& m);
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

/// Factors (b, n, n) of one dtype and shape.
template <class T>
std::vector<View<T>> factor_views(const std::vector<py::array>& factors) {
    std::vector<View<T>> views;
    for (const py::array& factor : factors) {
        views.push_back(square_view<T>(factor));
        if (!py::isinstance<py::array_t<T>>(factor) || views.back().batch != views.front().batch ||
            views.back().rows != views.front().rows)
            throw std::invalid_argument("expected factors of one dtype and shape");
    }
    return views;
}

/// Runs call(views) with factors of the C++ type of the first.
template <class F>
py::object with_factors(const std::vector<py::array>& factors, F call) {
    if (factors.empty()) throw std::invalid_argument("expected at least one factor");
    return with_dtype_of<double, float>(factors.front(),
                                        [&](auto zero) { return call(factor_views<decltype(zero)>(factors)); });
}

using Subsets = std::vector<std::vector<index_t>>;

/// Subsets that name each no other than `count` factors.
inline void check(const Subsets& subsets, std::size_t count) {
    if (subsets.empty()) throw std::invalid_argument("expected at least one subset");
    for (const std::vector<index_t>& subset : subsets) {
        if (subset.empty()) throw std::invalid_argument("expected subsets of at least one factor");
        for (const index_t position : subset)
            if (position < 0 || position >= static_cast<index_t>(count))
                throw std::invalid_argument("expected positions of factors");
    }
}

/// The memory of a dense array of the dtype and shape that is expected.
template <class T>
const T* dense(const py::array& a, const std::vector<index_t>& shape) {
    bool fits = py::isinstance<py::array_t<T>>(a) && (a.flags() & py::array::c_style) &&
                a.ndim() == static_cast<py::ssize_t>(shape.size());
    for (std::size_t axis = 0; fits && axis < shape.size(); ++axis) fits = a.shape(axis) == shape[axis];
    if (!fits) throw std::invalid_argument("expected a dense array of the dtype and shape of the others");
    return static_cast<const T*>(a.data());
}

/// Memory for a result: the array that the caller gives, dense and of this dtype and shape, or a new one.
template <class T>
py::array_t<T> result_in(const std::optional<py::array>& out, const std::vector<index_t>& shape) {
    if (!out) return py::array_t<T>(shape);
    dense<T>(*out, shape);
    return py::reinterpret_borrow<py::array_t<T>>(*out);
}

/// None for a fine verdict, else (kind, index, value).
inline py::object to_python(const Verdict& verdict) {
    if (verdict.kind == Verdict::Kind::fine) return py::none();
    const char* kind = verdict.kind == Verdict::Kind::indefinite ? "indefinite" : "zero trace";
    return py::make_tuple(kind, verdict.index, verdict.value);
}

}  // namespace fastrenyi::bindings
