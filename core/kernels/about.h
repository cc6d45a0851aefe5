// What a device's kernels are made for and stand on, in words: for `costate --version`. Opens no device.
#pragma once

#include <string>

#include "core/kernel.h"

namespace costate {

namespace cpu {
void about(std::string& text);
}
namespace cuda {
[[gnu::weak]] decltype(cpu::about) about;
}  // namespace cuda

/// The instruction set in use; CUDA's version, the driver's and cuDNN's.
inline constexpr Kernel<void(std::string&)> about_kernel{"about", cpu::about, cuda::about};

}  // namespace costate
