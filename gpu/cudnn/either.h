// Work that cuDNN may do: whether it does is `--conv`'s (conv_algorithm of the device).
#pragma once

#include <functional>
#include <string>

#include "gpu/cudnn/operations.h"

namespace costate::cuda::cudnn {

/// What a profile calls this folder's own way, and the way.
struct Own {
  std::string name;
  std::function<void()> work;
};

/// `own`, or `theirs` with a plan for the problem: as conv_algorithm says. Where cuDNN has no plan, or `fits` says that these tensors
/// are not for it, it is `own`.
void either(const Convolution& c, bool fits, const Own& own, const std::function<void(const Plan&)>& theirs);
void either(const Attention& a, bool fits, const Own& own, const std::function<void(const Plan&)>& theirs);

}  // namespace costate::cuda::cudnn
