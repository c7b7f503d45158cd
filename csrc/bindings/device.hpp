// Device memory to views: of addresses, shapes and strides, whatever library they come from.
#pragma once
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>

#include "common/stream.hpp"
#include "common/view.hpp"
#include "cuda/check.hpp"

namespace fastrenyi::bindings {

namespace py = pybind11;

using Address = std::uintptr_t;
/// (address, batch, rows, cols, batch_stride, row_stride, col_stride), strides in elements.
using Layout = std::tuple<Address, index_t, index_t, index_t, index_t, index_t, index_t>;

void bind_cuda(py::module_& m);
void bind_cuda_spectra(py::module_& m);

template <class T>
T* pointer(Address address) {
    return reinterpret_cast<T*>(address);
}

template <class T>
View<T> device_view(const Layout& layout) {
    const auto& [address, batch, rows, cols, batch_stride, row_stride, col_stride] = layout;
    return {pointer<const T>(address), batch, rows, cols, batch_stride, row_stride, col_stride};
}

template <class T>
View<T> square_device_view(const Layout& layout) {
    const View<T> result = device_view<T>(layout);
    if (result.rows != result.cols || result.rows == 0)
        throw std::invalid_argument("expected square matrices of order 1 or more");
    return result;
}

template <class T>
bool is_dtype(const std::string& dtype);
template <>
inline bool is_dtype<float>(const std::string& dtype) {
    return dtype == "float32";
}
template <>
inline bool is_dtype<double>(const std::string& dtype) {
    return dtype == "float64";
}
template <>
inline bool is_dtype<index_t>(const std::string& dtype) {
    return dtype == "int64";
}

/// Runs call(T{}) with the C++ type of a dtype's name, one of Ts.
template <class T, class... Ts, class F>
auto with_dtype(const std::string& dtype, F call) {
    if (is_dtype<T>(dtype)) return call(T{});
    if constexpr (sizeof...(Ts) > 0)
        return with_dtype<Ts...>(dtype, call);
    else
        throw std::invalid_argument("no kernel for this dtype: " + dtype);
}

/// Runs call(stream) with the device being the current one, and without the GIL: a queue that is full makes it wait.
template <class F>
void on_device(int device, Address stream, F call) {
    const py::gil_scoped_release release;
    const cuda::DeviceGuard guard(device);
    call(reinterpret_cast<Stream>(stream));
}

}  // namespace fastrenyi::bindings
