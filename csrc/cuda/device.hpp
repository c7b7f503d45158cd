// The devices of this machine.
#pragma once
#include <string>
#include <vector>

namespace fastrenyi::cuda {

struct Device {
    std::string name;
    int major, minor;  // compute capability
};

/// What there is, or why there is nothing. Versions are 1000 * major + 10 * minor; a driver of 0 is none.
struct Machine {
    int runtime = 0, driver = 0;
    std::vector<Device> devices;
    std::string problem;
};

/// Does not throw, and makes no context on any device.
Machine machine();

}  // namespace fastrenyi::cuda
