#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
#include "ops/hadamard.hpp"

namespace fastrenyi::bindings {
namespace {

py::object hadamard(const std::vector<py::array>& factors, int threads) {
    return with_factors(factors, [&](const auto& views) -> py::object {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(views.front().data)>>;
        const index_t batch = views.front().batch, n = views.front().rows;
        py::array_t<T> out({batch, n, n});
        T* result = out.mutable_data();
        Verdict verdict;
        {
            const Released released;
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
