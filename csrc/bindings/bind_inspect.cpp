#include "bindings/arrays.hpp"
#include "bindings/released.hpp"
#include "ops/inspect.hpp"

namespace fastrenyi::bindings {
namespace {

py::object first_not_finite(const py::array& x, int threads) {
    return with_dtype_of<double, float>(x, [&](auto zero) -> py::object {
        const auto samples = view<decltype(zero)>(x);
        index_t found = -1;
        {
            const Released released;
            found = cpu::first_not_finite(samples, threads);
        }
        return py::int_(found);
    });
}

py::object first_zero_row(const py::array& x, int threads) {
    return with_dtype_of<double, float>(x, [&](auto zero) -> py::object {
        const auto samples = view<decltype(zero)>(x);
        index_t found = -1;
        {
            const Released released;
            found = cpu::first_zero_row(samples, threads);
        }
        return py::int_(found);
    });
}

py::object gram_fault(const py::array& a, double tolerance, bool trace_one, int threads) {
    return with_dtype_of<double, float>(a, [&](auto zero) -> py::object {
        const auto matrices = square_view<decltype(zero)>(a);
        Fault fault;
        {
            const Released released;
            fault = cpu::gram_fault(matrices, tolerance, trace_one, threads);
        }
        if (fault.kind == Fault::Kind::none) return py::none();
        const char* kind = fault.kind == Fault::Kind::not_finite   ? "not finite"
                           : fault.kind == Fault::Kind::asymmetric ? "asymmetric"
                                                                   : "trace";
        return py::make_tuple(kind, fault.index, fault.value);
    });
}

}  // namespace

void bind_inspect(py::module_& m) {
    m.def("first_not_finite", &first_not_finite, py::arg("x"), py::arg("threads"));
    m.def("first_zero_row", &first_zero_row, py::arg("x"), py::arg("threads"));
    m.def("gram_fault", &gram_fault, py::arg("a"), py::arg("tolerance"), py::arg("trace_one"), py::arg("threads"));
}

}  // namespace fastrenyi::bindings
