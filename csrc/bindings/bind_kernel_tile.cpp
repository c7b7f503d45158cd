#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
#include "ops/kernel_tile.hpp"

namespace fastrenyi::bindings {
namespace {

using Samples = py::array_t<double, py::array::c_style>;

template <class T>
py::object gaussian(const Samples& x, const Samples& y, double shift, int threads) {
    py::array_t<T> out({x.shape(0), y.shape(0)});
    T* const result = out.mutable_data();
    const double *first = x.data(), *second = y.data();
    const index_t m = x.shape(0), k = y.shape(0), d = x.shape(1);
    double squares = 0.0;
    {
        const Released released;
        squares = cpu::gaussian_tile(first, m, second, k, d, shift, result, threads);
    }
    return py::make_tuple(out, squares);
}

py::object gaussian_tile(const Samples& x, const Samples& y, bool single, double shift, int threads) {
    constexpr py::ssize_t most = std::numeric_limits<int>::max();  // of BLAS
    if (x.ndim() != 2 || y.ndim() != 2 || x.shape(1) != y.shape(1) || x.shape(1) == 0)
        throw std::invalid_argument("expected samples (m, d) and (k, d)");
    if (y.shape(0) > most || x.shape(1) > most)
        throw std::invalid_argument("expected less than 2^31 samples, features");
    return single ? gaussian<float>(x, y, shift, threads) : gaussian<double>(x, y, shift, threads);
}

}  // namespace

void bind_kernel_tile(py::module_& m) {
    m.def("gaussian_tile", &gaussian_tile, py::arg("x"), py::arg("y"), py::arg("single"), py::arg("shift"),
          py::arg("threads"));
}

}  // namespace fastrenyi::bindings
