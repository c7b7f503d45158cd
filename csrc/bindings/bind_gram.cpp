#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/names.hpp"
#include "bindings/released.hpp"
#include "ops/gram.hpp"

namespace fastrenyi::bindings {
namespace {

using Widths = py::array_t<double, py::array::c_style | py::array::forcecast>;

py::object gram(const py::array& x, const std::string& kind, const std::optional<Widths>& widths, int degree,
                double gamma, double coef0, int threads, const std::optional<py::array>& out) {
    const KernelSpec kernel{kernel_named(kind), widths ? widths->data() : nullptr, degree, gamma, coef0};
    const bool fits = widths && widths->ndim() == 1 && x.ndim() > 0 && widths->shape(0) == x.shape(0);
    if (kernel.kind != Kernel::polynomial && !fits) throw std::invalid_argument("expected one width per matrix");
    return with_dtype_of<double, float>(x, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> samples = view<T>(x);
        py::array_t<T> found = result_in<T>(out, {samples.batch, samples.rows, samples.rows});
        T* result = found.mutable_data();
        {
            const Released released;
            if (cpu::gram(samples, kernel, result, threads)) return found;
        }
        return py::none();
    });
}

py::object delta_gram(const py::array& x, int threads) {
    return with_dtype_of<double, float, index_t>(x, [&](auto zero) -> py::object {
        const auto samples = view<decltype(zero)>(x);
        py::array_t<double> out({samples.batch, samples.rows, samples.rows});
        double* result = out.mutable_data();
        {
            const Released released;
            cpu::delta_gram(samples, result, threads);
        }
        return out;
    });
}

py::object distances(const py::array& x, const std::string& metric, int threads) {
    const Metric kind = metric_named(metric);
    return with_dtype_of<double, float>(x, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> samples = view<T>(x);
        py::array_t<T> out({samples.batch, samples.rows, samples.rows});
        T* result = out.mutable_data();
        {
            const Released released;
            cpu::distances(samples, kind, result, threads);
        }
        return out;
    });
}

}  // namespace

void bind_gram(py::module_& m) {
    m.def("gram", &gram, py::arg("x"), py::arg("kind"), py::arg("widths"), py::arg("degree"), py::arg("gamma"),
          py::arg("coef0"), py::arg("threads"), py::arg("out") = py::none());
    m.def("delta_gram", &delta_gram, py::arg("x"), py::arg("threads"));
    m.def("distances", &distances, py::arg("x"), py::arg("metric"), py::arg("threads"));
}

}  // namespace fastrenyi::bindings
