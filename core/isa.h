// Which instruction set the kernels run on.
#pragma once

#include <string>

namespace costate {

/// Highway's name of the target chosen on this machine: "AVX3" (AVX-512), "AVX2", "SSE4", "NEON" ...
std::string instruction_set();

}  // namespace costate
