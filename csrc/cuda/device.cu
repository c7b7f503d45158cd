#include "cuda/device.hpp"

#include "cuda/check.hpp"

namespace fastrenyi::cuda {

#ifdef __CUDACC__

DeviceGuard::DeviceGuard(int device) : former_(device), changed_(false) {
    check(cudaGetDevice(&former_), "asking for the current device");
    changed_ = former_ != device;
    if (changed_) check(cudaSetDevice(device), "choosing a device");
}

DeviceGuard::~DeviceGuard() {
    if (changed_) cudaSetDevice(former_);
}

Machine machine() {
    Machine found;
    int count = 0;
    cudaError_t result = cudaRuntimeGetVersion(&found.runtime);
    if (result == cudaSuccess) result = cudaDriverGetVersion(&found.driver);
    if (result == cudaSuccess) result = cudaGetDeviceCount(&count);
    for (int device = 0; device < count && result == cudaSuccess; ++device) {
        cudaDeviceProp properties;
        result = cudaGetDeviceProperties(&properties, device);
        if (result == cudaSuccess) found.devices.push_back({properties.name, properties.major, properties.minor});
    }
    if (result != cudaSuccess) {
        found.problem = found.driver == 0 ? "no NVIDIA driver" : cudaGetErrorString(result);
        cudaGetLastError();  // has been said; the next call starts afresh
    }
    return found;
}

#else  // the host stands in for every device

DeviceGuard::DeviceGuard(int device) : former_(device), changed_(false) {}
DeviceGuard::~DeviceGuard() = default;

Machine machine() {
    return {0, 0, {}, "emulated on the host"};
}

#endif

}  // namespace fastrenyi::cuda
