// A U-Net inside one of EDM's preconditionings: the denoiser that samplers call, and the bare network as its part `raw`.
#pragma once

#include <string>
#include <vector>

#include "nn/preconditioning.h"
#include "nn/unet_model.h"

namespace costate {

struct Preconditioned {
  UNetModel model;
  Tensor u;  ///< iddpm's noise levels, a buffer
  Preconditioning precondition;
  std::string prefix;  ///< of the bare network's keys
  std::string part;

  static void fields(auto& self, auto&& visit) {
    visit(self.prefix.c_str(), self.model);
    visit("u", self.u, Layout::plain, true);
  }
  [[nodiscard]] std::vector<std::string> parts() const { return {"raw"}; }

  /// x (n, h, w, c), t = sigma a row -> the denoised image; `raw`: t = c_noise, and whatever the network returns.
  [[nodiscard]] Tensor operator()(Inputs in) const;
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const { return model.embed_classes(classes); }
  [[nodiscard]] Signature signature() const;
};

}  // namespace costate
