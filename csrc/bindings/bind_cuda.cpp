#include <vector>

#include "bindings/device.hpp"
#include "bindings/names.hpp"
#include "ops/entropy.hpp"
#include "ops/gram.hpp"
#include "ops/hadamard.hpp"
#include "ops/inspect.hpp"

namespace fastrenyi::bindings {
namespace {

// ---------------------------------------------------------------------------------------------------- inspect

void not_finite(const Layout& x, const std::string& dtype, Address status, int device, Address stream) {
    with_dtype<double, float>(dtype, [&](auto zero) {
        const auto samples = device_view<decltype(zero)>(x);
        on_device(device, stream, [&](Stream s) { cuda::not_finite(samples, pointer<Status>(status), s); });
    });
}

void zero_rows(const Layout& x, const std::string& dtype, Address status, int device, Address stream) {
    with_dtype<double, float>(dtype, [&](auto zero) {
        const auto samples = device_view<decltype(zero)>(x);
        on_device(device, stream, [&](Stream s) { cuda::zero_rows(samples, pointer<Status>(status), s); });
    });
}

void gram_fault(const Layout& a, const std::string& dtype, double tolerance, bool trace_one, Address status, int device,
                Address stream) {
    with_dtype<double, float>(dtype, [&](auto zero) {
        const auto matrices = square_device_view<decltype(zero)>(a);
        on_device(device, stream,
                  [&](Stream s) { cuda::gram_fault(matrices, tolerance, trace_one, pointer<Status>(status), s); });
    });
}

// ------------------------------------------------------------------------------------------------------- gram

void gram(const Layout& x, const std::string& dtype, const std::string& kind, Address widths, double sigma, int degree,
          double gamma, double coef0, Address out, Address status, int device, Address stream) {
    const KernelSpec kernel{kernel_named(kind), pointer<const double>(widths), degree, gamma, coef0};
    with_dtype<double, float>(dtype, [&](auto zero) {
        using T = decltype(zero);
        const View<T> samples = device_view<T>(x);
        on_device(device, stream,
                  [&](Stream s) { cuda::gram(samples, kernel, sigma, pointer<T>(out), pointer<Status>(status), s); });
    });
}

void distances(const Layout& x, const std::string& dtype, const std::string& metric, Address out, int device,
               Address stream) {
    const Metric kind = metric_named(metric);
    with_dtype<double, float>(dtype, [&](auto zero) {
        using T = decltype(zero);
        const View<T> samples = device_view<T>(x);
        on_device(device, stream, [&](Stream s) { cuda::distances(samples, kind, pointer<T>(out), s); });
    });
}

void delta_gram(const Layout& x, const std::string& dtype, Address out, int device, Address stream) {
    with_dtype<double, float, index_t>(dtype, [&](auto zero) {
        const auto samples = device_view<decltype(zero)>(x);
        on_device(device, stream, [&](Stream s) { cuda::delta_gram(samples, pointer<double>(out), s); });
    });
}

// --------------------------------------------------------------------------------------------------- hadamard

void hadamard(const std::vector<Layout>& factors, const std::string& dtype, Address out, Address workspace,
              Address status, int device, Address stream) {
    if (factors.empty()) throw std::invalid_argument("expected a factor");
    with_dtype<double, float>(dtype, [&](auto zero) {
        using T = decltype(zero);
        std::vector<View<T>> views;
        for (const Layout& factor : factors) {
            views.push_back(square_device_view<T>(factor));
            if (views.back().batch != views.front().batch || views.back().rows != views.front().rows)
                throw std::invalid_argument("expected factors of one shape");
        }
        on_device(device, stream, [&](Stream s) {
            cuda::hadamard(views, pointer<T>(out), pointer<void>(workspace), pointer<Status>(status), s);
        });
    });
}

// ---------------------------------------------------------------------------------------------------- entropy

void entropy(Address spectra, index_t batch, index_t n, const std::string& dtype, const std::vector<double>& orders,
             double epsilon, double unit, Address out, Address status, int device, Address stream) {
    with_dtype<double, float>(dtype, [&](auto zero) {
        using T = decltype(zero);
        on_device(device, stream, [&](Stream s) {
            cuda::entropy(pointer<const T>(spectra), batch, n, orders.data(), static_cast<index_t>(orders.size()),
                          epsilon, unit, pointer<T>(out), pointer<Status>(status), s);
        });
    });
}

void collision_entropy(const Layout& a, const std::string& dtype, double unit, Address out, int device,
                       Address stream) {
    with_dtype<double, float>(dtype, [&](auto zero) {
        using T = decltype(zero);
        const View<T> matrices = square_device_view<T>(a);
        on_device(device, stream, [&](Stream s) { cuda::collision_entropy(matrices, unit, pointer<T>(out), s); });
    });
}

}  // namespace

void bind_cuda(py::module_& m) {
    using py::arg;
    m.def("not_finite", &not_finite, arg("x"), arg("dtype"), arg("status"), arg("device"), arg("stream"));
    m.def("zero_rows", &zero_rows, arg("x"), arg("dtype"), arg("status"), arg("device"), arg("stream"));
    m.def("gram_fault", &gram_fault, arg("a"), arg("dtype"), arg("tolerance"), arg("trace_one"), arg("status"),
          arg("device"), arg("stream"));
    m.def("gram", &gram, arg("x"), arg("dtype"), arg("kind"), arg("widths"), arg("sigma"), arg("degree"), arg("gamma"),
          arg("coef0"), arg("out"), arg("status"), arg("device"), arg("stream"));
    m.def("distances", &distances, arg("x"), arg("dtype"), arg("metric"), arg("out"), arg("device"), arg("stream"));
    m.def("delta_gram", &delta_gram, arg("x"), arg("dtype"), arg("out"), arg("device"), arg("stream"));
    m.def("hadamard_workspace", &cuda::hadamard_workspace, arg("count"), arg("batch"), arg("n"));
    m.def("hadamard", &hadamard, arg("factors"), arg("dtype"), arg("out"), arg("workspace"), arg("status"),
          arg("device"), arg("stream"));
    m.def("entropy", &entropy, arg("spectra"), arg("batch"), arg("n"), arg("dtype"), arg("orders"), arg("epsilon"),
          arg("unit"), arg("out"), arg("status"), arg("device"), arg("stream"));
    m.def("collision_entropy", &collision_entropy, arg("a"), arg("dtype"), arg("unit"), arg("out"), arg("device"),
          arg("stream"));
}

}  // namespace fastrenyi::bindings
