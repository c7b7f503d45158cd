#include "bindings/arrays.hpp"
#include "ops/slope.hpp"

namespace fastrenyi::bindings {
namespace {

py::object reduce(const py::array& a, int threads) {
    return with_dtype_of<double, float>(a, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> matrices = square_view<T>(a);
        py::array_t<T> values({matrices.batch, matrices.rows});
        py::array_t<T> reduced({matrices.batch, matrices.rows + 3, matrices.rows});
        T *first = values.mutable_data(), *second = reduced.mutable_data();
        {
            const py::gil_scoped_release release;
            cpu::reduce(matrices, first, second, threads);
        }
        return py::make_tuple(values, reduced);
    });
}

py::object slope(const py::array& reduced, const py::array_t<double, py::array::c_style>& grads,
                 const std::vector<double>& orders, double unit, int threads) {
    return with_dtype_of<double, float>(reduced, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> read = view<T>(reduced);
        const index_t batch = read.batch, n = read.cols, count = static_cast<index_t>(orders.size());
        if (read.rows != n + 3 || read.col_stride != 1 || read.row_stride != n || read.batch_stride != (n + 3) * n)
            throw std::invalid_argument("expected what reduce gave: dense (b, n + 3, n)");
        if (grads.ndim() != 2 || grads.shape(0) != batch || grads.shape(1) != count)
            throw std::invalid_argument("expected one weight per matrix and order");
        py::array_t<T> out({batch, n, n});
        T* result = out.mutable_data();
        const double* weights = grads.data();
        {
            const py::gil_scoped_release release;
            cpu::slope(read.data, batch, n, weights, orders.data(), count, unit, result, threads);
        }
        return out;
    });
}

}  // namespace

void bind_slope(py::module_& m) {
    m.def("reduce", &reduce, py::arg("a"), py::arg("threads"));
    m.def("slope", &slope, py::arg("reduced"), py::arg("grads"), py::arg("orders"), py::arg("unit"),
          py::arg("threads"));
}

}  // namespace fastrenyi::bindings
