// A U-Net with its embedding and its input and output scaling: what most families of research code come to.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/unet.h"
#include "nn/unet_embedding.h"

namespace costate {

struct UNetModel {
  /// What the output is divided by (score_sde's scale_by_sigma).
  enum class Divide { nothing, time, table };

  UNetEmbedding embedding;
  UNet unet;
  bool centre = false;  ///< the network reads 2 x - 1
  bool scaled = false;  ///< the network reads x / sqrt(1 + t^2): its time is sigma
  Divide divide = Divide::nothing;
  Tensor sigmas;          ///< the table, a noise level for every time; a buffer
  std::int64_t size = 0;  ///< usual height and width
  std::string defaults = "{}";

  static void fields(auto& self, auto&& visit) {
    visit("", self.embedding);
    visit("", self.unet);
    visit("sigmas", self.sigmas, Layout::plain, true);
  }

  /// x (n, h, w, in), t a row (or one for all); `classes` or in their place z, vectors of the label embedding.
  [[nodiscard]] Tensor operator()(const Inputs& in) const;
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const;
  [[nodiscard]] Signature signature() const;
};

/// A family's network from its plan: both say which keys of files are theirs.
[[nodiscard]] UNetModel make_unet_model(UNetEmbedding embedding, UNetPlan plan, std::int64_t size,
                                        std::string defaults);

}  // namespace costate
