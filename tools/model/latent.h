// The pixels behind the samples of a latent model: the autoencoder that lies in its pipeline's folder.
#pragma once

#include <memory>
#include <optional>

#include "tools/model/model.h"

namespace costate {

struct LatentSpace {
  std::shared_ptr<const Network> decoder, encoder;  ///< encoder: null where the files hold none
  Tensor gain, offset;                              ///< (channels): the decoder reads latents * gain + offset
  DType dtype = DType::f32;
  ValueRange range;  ///< of the pixels

  /// (n, h, w, channels) f64 to pixels (n, H, W, 3) f64, one sample after the other: differentiable, and its memory is one sample's.
  [[nodiscard]] Tensor decode(const Tensor& latents) const;
  /// And back: the mean of the latents that the encoder gives for pixels (n, H, W, 3).
  [[nodiscard]] Tensor encode(const Tensor& pixels) const;
};

/// From vae/ in the model's folder; nothing where there is none, or the model is a part of a pipeline and not the whole.
std::optional<LatentSpace> latent_space(const Model& model);

}  // namespace costate
