// What this build is made with, and what of it the machine has.
#include "core/kernels/about.h"

#include "gpu/cudnn/library.h"
#include "gpu/runtime.h"

namespace costate {
namespace {

/// 12040 is 12.4.
std::string dotted(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

}  // namespace

void cuda::about(std::string& text) {
  int driver = 0;  // 0: there is none
  static_cast<void>(cudaDriverGetVersion(&driver));
  text = fmt::format("CUDA {}; here: driver {}, cuDNN {}", dotted(CUDART_VERSION),
                     driver > 0 ? "for CUDA " + dotted(driver) : "none", cudnn::is_there() ? cudnn::version() : "none");
}

}  // namespace costate
