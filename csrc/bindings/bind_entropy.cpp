#include "bindings/arrays.hpp"
#include "ops/entropy.hpp"

namespace fastrenyi::bindings {
namespace {

py::object entropy(const py::array& spectra, const std::vector<double>& orders, double epsilon, double unit,
                   int threads) {
    return with_dtype_of<double, float>(spectra, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const auto dense = py::array_t<T, py::array::c_style>::ensure(spectra);
        if (!dense || dense.ndim() != 2) throw std::invalid_argument("expected an array of 2 axes");
        const auto order_count = static_cast<index_t>(orders.size());
        py::array_t<T> out({static_cast<index_t>(dense.shape(0)), order_count});
        const T* values = dense.data();
        T* result = out.mutable_data();
        const index_t batch = dense.shape(0), n = dense.shape(1);
        Verdict verdict;
        {
            const py::gil_scoped_release release;
            verdict = cpu::entropy(values, batch, n, orders.data(), order_count, epsilon, unit, result, threads);
        }
        return py::make_tuple(out, to_python(verdict));
    });
}

py::object collision_entropy(const std::vector<py::array>& factors, double unit, int threads) {
    return with_factors(factors, [&](const auto& views) -> py::object {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(views.front().data)>>;
        py::array_t<T> out(views.front().batch);
        T* result = out.mutable_data();
        Verdict verdict;
        {
            const py::gil_scoped_release release;
            verdict = cpu::collision_entropy(views, unit, result, threads);
        }
        return py::make_tuple(out, to_python(verdict));
    });
}

}  // namespace

void bind_entropy(py::module_& m) {
    m.def("entropy", &entropy, py::arg("spectra"), py::arg("orders"), py::arg("epsilon"), py::arg("unit"),
          py::arg("threads"));
    m.def("collision_entropy", &collision_entropy, py::arg("factors"), py::arg("unit"), py::arg("threads"));
}

}  // namespace fastrenyi::bindings
