#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
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
            const Released released;
            verdict = cpu::entropy(values, batch, n, orders.data(), order_count, epsilon, unit, result, threads);
        }
        return py::make_tuple(out, to_python(verdict));
    });
}

py::object collision_entropy(const std::vector<py::array>& grams, const Subsets& subsets, double unit, int threads) {
    check(subsets, grams.size());
    return with_factors(grams, [&](const auto& views) -> py::object {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(views.front().data)>>;
        py::array_t<T> out(static_cast<index_t>(subsets.size()) * views.front().batch);
        py::array_t<double> purities({static_cast<index_t>(out.size()), index_t(2)});
        T* result = out.mutable_data();
        auto* kept = reinterpret_cast<cpu::Purity*>(purities.mutable_data());
        Verdict verdict;
        {
            const Released released;
            verdict = cpu::collision_entropy(views, subsets, unit, result, kept, threads);
        }
        return py::make_tuple(out, purities, to_python(verdict));
    });
}

}  // namespace

void bind_entropy(py::module_& m) {
    m.def("entropy", &entropy, py::arg("spectra"), py::arg("orders"), py::arg("epsilon"), py::arg("unit"),
          py::arg("threads"));
    m.def("collision_entropy", &collision_entropy, py::arg("grams"), py::arg("subsets"), py::arg("unit"),
          py::arg("threads"));
}

}  // namespace fastrenyi::bindings
