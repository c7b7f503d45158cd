#include <optional>
#include <vector>

#include "bindings/device.hpp"
#include "cuda/handle.hpp"
#include "ops/pairs.hpp"
#include "ops/spectrum.hpp"

namespace fastrenyi::bindings {
namespace {

// --------------------------------------------------------------------------------------------------- spectrum

index_t block_order(const std::string& dtype) {
    return with_dtype<double, float>(dtype, [](auto zero) { return cuda::block_order<decltype(zero)>(); });
}

std::size_t spectrum_workspace(index_t batch, index_t n, const std::string& dtype, int device) {
    return with_dtype<double, float>(dtype, [&](auto zero) {
        const py::gil_scoped_release release;
        const cuda::DeviceGuard guard(device);
        return cuda::spectrum_workspace<decltype(zero)>(batch, n);
    });
}

void spectrum(const Layout& a, const std::string& dtype, Address values, Address workspace, std::size_t workspace_bytes,
              int device, Address stream) {
    with_dtype<double, float>(dtype, [&](auto zero) {
        using T = decltype(zero);
        const View<T> matrices = square_device_view<T>(a);
        on_device(device, stream, [&](Stream s) {
            cuda::spectrum(matrices, pointer<T>(values), pointer<void>(workspace), workspace_bytes, s);
        });
    });
}

std::size_t eigh_workspace(index_t batch, index_t n, const std::string& dtype, int device) {
    return with_dtype<double, float>(dtype, [&](auto zero) {
        const py::gil_scoped_release release;
        const cuda::DeviceGuard guard(device);
        return cuda::eigh_workspace<decltype(zero)>(batch, n);
    });
}

void eigh(const Layout& a, const std::string& dtype, Address values, Address vectors, Address workspace,
          std::size_t workspace_bytes, int device, Address stream) {
    with_dtype<double, float>(dtype, [&](auto zero) {
        using T = decltype(zero);
        const View<T> matrices = square_device_view<T>(a);
        on_device(device, stream, [&](Stream s) {
            cuda::eigh(matrices, pointer<T>(values), pointer<T>(vectors), pointer<void>(workspace), workspace_bytes, s);
        });
    });
}

// ------------------------------------------------------------------------------------------------------ pairs

std::size_t pairs_workspace(index_t pairs, index_t n, const std::string& dtype, bool has_target, int device) {
    return with_dtype<double, float>(dtype, [&](auto zero) {
        const py::gil_scoped_release release;
        const cuda::DeviceGuard guard(device);
        return cuda::pairs_workspace<decltype(zero)>(pairs, n, has_target);
    });
}

void pairs(const Layout& maps, const std::optional<Layout>& target, Address pairs, index_t count,
           const std::string& dtype, const std::vector<double>& orders, double epsilon, double unit, Address alone,
           Address joint, Address workspace, std::size_t workspace_bytes, Address status, int device, Address stream) {
    with_dtype<double, float>(dtype, [&](auto zero) {
        using T = decltype(zero);
        const View<T> grams = square_device_view<T>(maps);
        View<T> other;
        if (target) {
            other = square_device_view<T>(*target);
            if (other.batch != 1 || other.rows != grams.rows)
                throw std::invalid_argument("expected one target of the order of the maps");
        }
        on_device(device, stream, [&](Stream s) {
            cuda::pairs(grams, target ? &other : nullptr, pointer<const index_t>(pairs), count, orders.data(),
                        static_cast<index_t>(orders.size()), epsilon, unit, pointer<T>(alone), pointer<T>(joint),
                        pointer<void>(workspace), workspace_bytes, pointer<Status>(status), s);
        });
    });
}

}  // namespace

void bind_cuda_spectra(py::module_& m) {
    using py::arg;
    m.def("set_library_paths", &cuda::set_library_paths, arg("paths"));
    m.def("block_order", &block_order, arg("dtype"));
    m.def("spectrum_workspace", &spectrum_workspace, arg("batch"), arg("n"), arg("dtype"), arg("device"));
    m.def("spectrum", &spectrum, arg("a"), arg("dtype"), arg("values"), arg("workspace"), arg("workspace_bytes"),
          arg("device"), arg("stream"));
    m.def("eigh_workspace", &eigh_workspace, arg("batch"), arg("n"), arg("dtype"), arg("device"));
    m.def("eigh", &eigh, arg("a"), arg("dtype"), arg("values"), arg("vectors"), arg("workspace"),
          arg("workspace_bytes"), arg("device"), arg("stream"));
    m.def("pairs_workspace", &pairs_workspace, arg("pairs"), arg("n"), arg("dtype"), arg("has_target"), arg("device"));
    m.def("pairs", &pairs, arg("maps"), arg("target"), arg("pairs"), arg("count"), arg("dtype"), arg("orders"),
          arg("epsilon"), arg("unit"), arg("alone"), arg("joint"), arg("workspace"), arg("workspace_bytes"),
          arg("status"), arg("device"), arg("stream"));
}

}  // namespace fastrenyi::bindings
