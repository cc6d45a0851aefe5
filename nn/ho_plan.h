// The U-Net of "Denoising Diffusion Probabilistic Models" (Ho et al. 2020) as a plan: what its PyTorch versions share. Attention, the
// number of channels in and out, and the keys are each family's own.
#pragma once

#include "nn/unet_plan.h"

namespace costate {

/// Of every group norm in it.
struct HoNorm {
  static constexpr std::int64_t groups = 32;
  static constexpr double eps = 1e-6;
};

/// `first` channels times `mult` at each level; `time` is the width of the time embedding.
[[nodiscard]] inline UNetPlan ho_plan(std::int64_t first, const std::vector<std::int64_t>& mult, std::int64_t blocks,
                                      std::int64_t time, const ResBlockNames& names) {
  UNetPlan p;
  p.first = first;
  for (const auto m : mult) p.channels.push_back(first * m);
  p.blocks = blocks;
  p.up_blocks = blocks + 1;
  p.padded_down = false;
  p.eps = HoNorm::eps;
  p.groups = [](std::int64_t) { return HoNorm::groups; };
  p.block = [time, names](std::int64_t in, std::int64_t out) {
    return ResBlockPlan{.in = in,
                        .out = out,
                        .time = time,
                        .groups = HoNorm::groups,
                        .groups_out = HoNorm::groups,
                        .eps = HoNorm::eps,
                        .names = names};
  };
  return p;
}

}  // namespace costate
