#include "bindings/arrays.hpp"
#include "ops/hadamard.hpp"

namespace fastrenyi::bindings {
namespace {

py::object hadamard(const std::vector<py::array>& factors, int threads) {
    if (factors.empty()) throw std::invalid_argument("expected at least one factor");
    return with_dtype_of<double, float>(factors.front(), [&](auto zero) -> py::object {
        using T = decltype(zero);
        std::vector<View<T>> views;
        for (const py::array& factor : factors) {
            views.push_back(square_view<T>(factor));
            if (!py::isinstance<py::array_t<T>>(factor) || views.back().batch != views.front().batch ||
                views.back().rows != views.front().rows)
                throw std::invalid_argument("expected factors of one dtype and shape");
        }
        const index_t batch = views.front().batch, n = views.front().rows;
        py::array_t<T> out({batch, n, n});
        T* result = out.mutable_data();
        Verdict verdict;
        {
            const py::gil_scoped_release release;
            verdict = cpu::hadamard(views, result, threads);
        }
        return py::make_tuple(out, to_python(verdict));
    });
}

}  // namespace

void bind_hadamard(py::module_& m) {
    m.def("hadamard", &hadamard, py::arg("factors"), py::arg("threads"));
}

}  // namespace fastrenyi::bindings
