// Contents page of the module for devices: _cuda, or _emulated, where the host's memory is the device's.
#include "bindings/device.hpp"
#include "cuda/device.hpp"
#include "cuda/handle.hpp"

namespace fastrenyi::bindings {
namespace {

py::dict info() {
    const cuda::Machine found = cuda::machine();
    py::list devices;
    for (const cuda::Device& device : found.devices)
        devices.append(py::make_tuple(device.name, py::make_tuple(device.major, device.minor)));
    py::dict info;
    info["version"] = FASTRENYI_VERSION;
    info["architectures"] = FASTRENYI_ARCHITECTURES;
    info["runtime"] = found.runtime;
    info["driver"] = found.driver;
    info["devices"] = devices;
    info["problem"] = found.problem;
    info["cusolver"] = cuda::solver_library().text;
    return info;
}

}  // namespace
}  // namespace fastrenyi::bindings

// One interpreter and its GIL, as core.cpp.
PYBIND11_MODULE(FASTRENYI_MODULE, m, pybind11::multiple_interpreters::not_supported()) {
    namespace b = fastrenyi::bindings;
    b::bind_cuda(m);
    b::bind_cuda_spectra(m);
    m.attr("__version__") = FASTRENYI_VERSION;
    m.def("info", &b::info);
}
