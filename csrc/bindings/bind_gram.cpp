#include "bindings/arrays.hpp"
#include "ops/gram.hpp"

namespace fastrenyi::bindings {
namespace {

using Widths = py::array_t<double, py::array::c_style | py::array::forcecast>;

py::object run(const py::array& x, const KernelSpec& kernel, int threads) {
    return with_dtype_of<double, float>(x, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> samples = view<T>(x);
        py::array_t<T> out({samples.batch, samples.rows, samples.rows});
        T* result = out.mutable_data();
        {
            const py::gil_scoped_release release;
            cpu::gram(samples, kernel, result, threads);
        }
        return out;
    });
}

py::object with_width(Kernel kind, const py::array& x, const Widths& width, int threads) {
    if (width.ndim() != 1 || width.shape(0) != x.shape(0)) throw std::invalid_argument("expected one width per matrix");
    KernelSpec kernel;
    kernel.kind = kind;
    kernel.width = width.data();
    return run(x, kernel, threads);
}

py::object gaussian_gram(const py::array& x, const Widths& width, int threads) {
    return with_width(Kernel::gaussian, x, width, threads);
}

py::object laplacian_gram(const py::array& x, const Widths& width, int threads) {
    return with_width(Kernel::laplacian, x, width, threads);
}

py::object polynomial_gram(const py::array& x, int degree, double gamma, double coef0, int threads) {
    KernelSpec kernel;
    kernel.kind = Kernel::polynomial;
    kernel.degree = degree;
    kernel.gamma = gamma;
    kernel.coef0 = coef0;
    return run(x, kernel, threads);
}

py::object delta_gram(const py::array& x, int threads) {
    return with_dtype_of<double, float, index_t>(x, [&](auto zero) -> py::object {
        const auto samples = view<decltype(zero)>(x);
        py::array_t<double> out({samples.batch, samples.rows, samples.rows});
        double* result = out.mutable_data();
        {
            const py::gil_scoped_release release;
            cpu::delta_gram(samples, result, threads);
        }
        return out;
    });
}

py::object distances(const py::array& x, const std::string& metric, int threads) {
    if (metric != "euclidean" && metric != "manhattan") throw std::invalid_argument("no such metric: " + metric);
    const Metric kind = metric == "euclidean" ? Metric::euclidean : Metric::manhattan;
    return with_dtype_of<double, float>(x, [&](auto zero) -> py::object {
        using T = decltype(zero);
        const View<T> samples = view<T>(x);
        py::array_t<T> out({samples.batch, samples.rows, samples.rows});
        T* result = out.mutable_data();
        {
            const py::gil_scoped_release release;
            cpu::distances(samples, kind, result, threads);
        }
        return out;
    });
}

}  // namespace

void bind_gram(py::module_& m) {
    m.def("gaussian_gram", &gaussian_gram, py::arg("x"), py::arg("width"), py::arg("threads"));
    m.def("laplacian_gram", &laplacian_gram, py::arg("x"), py::arg("width"), py::arg("threads"));
    m.def("polynomial_gram", &polynomial_gram, py::arg("x"), py::arg("degree"), py::arg("gamma"), py::arg("coef0"),
          py::arg("threads"));
    m.def("delta_gram", &delta_gram, py::arg("x"), py::arg("threads"));
    m.def("distances", &distances, py::arg("x"), py::arg("metric"), py::arg("threads"));
}

}  // namespace fastrenyi::bindings
