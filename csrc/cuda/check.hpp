// What CUDA refused, as an exception, and the device that a call is for.
#pragma once
#include <stdexcept>
#include <string>

#ifdef __CUDACC__
#include <cuda_runtime.h>
#endif

namespace fastrenyi::cuda {

/// A call of CUDA failed.
struct CudaError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

#ifdef __CUDACC__
inline void check(cudaError_t result, const char* what) {
    if (result == cudaSuccess) return;
    cudaGetLastError();  // has been said; the launch of another kernel must not fail of it
    throw CudaError(std::string(what) + ": " + cudaGetErrorString(result));
}
#endif

/// Makes `device` the current one, and the former one again when the scope is left.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device);
    ~DeviceGuard();
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

  private:
    // An emulated device has no others, which clang remarks.
    [[maybe_unused]] int former_;
    [[maybe_unused]] bool changed_;
};

}  // namespace fastrenyi::cuda
