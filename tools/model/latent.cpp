// Finding and running the decoder of a latent pipeline.
#include "tools/model/latent.h"

#include <algorithm>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/slice.h"
#include "tools/model/pipeline.h"

namespace costate {

Tensor LatentSpace::decode(const Tensor& latents) const {
  const Shape channels{1, 1, 1, latents.dim(-1)};
  require(latents.rank() == 4 && gain.dim(0) == channels[3], "decode: latents {} for an autoencoder of {} channels",
          latents.shape(), gain.dim(0));
  Tensors pictures;
  for (std::int64_t i = 0; i < latents.dim(0); ++i) {
    Inputs in;
    in.x = cast(slice(latents, 0, i, 1) * reshape(gain, channels) + reshape(offset, channels), dtype);
    pictures.push_back(cast((*decoder)(in), DType::f64));
  }
  return concat(pictures, 0);
}

Tensor LatentSpace::encode(const Tensor& pixels) const {
  require(encoder != nullptr, "encode: the pipeline's autoencoder holds a decoder only");
  const Shape channels{1, 1, 1, gain.dim(0)};
  Tensors latents;
  for (std::int64_t i = 0; i < pixels.dim(0); ++i) {
    Inputs in;
    in.x = cast(slice(pixels, 0, i, 1), dtype);
    const Tensor mean = cast(slice((*encoder)(in), -1, 0, channels[3]), DType::f64);
    latents.push_back((mean - reshape(offset, channels)) / reshape(gain, channels));
  }
  return concat(latents, 0);
}

std::optional<LatentSpace> latent_space(const Model& model) {
  const auto pipeline = pipeline_of(model);
  if (!pipeline) return std::nullopt;
  require_samplable(*pipeline, model);
  const std::filesystem::path folder = pipeline->folder / "vae";
  if (!std::filesystem::exists(folder / "config.json")) return std::nullopt;
  const Model vae = load_model(folder.string(), {.dtype = model.dtype, .device = model.device});
  const auto parts = vae.network->parts();
  const bool encodes = std::find(parts.begin(), parts.end(), "encode") != parts.end();
  LatentSpace space{.decoder = vae.network->part("decode"),
                    .encoder = encodes ? vae.network->part("encode") : nullptr,
                    .gain = {},
                    .offset = {},
                    .dtype = model.dtype,
                    .range = vae.range};
  const std::int64_t channels = space.decoder->signature().input[-1];
  require(channels == model.sample_shape()[-1], "{}: decodes latents of {} channels, {} has {}", folder.string(),
          channels, model.name, model.sample_shape()[-1]);
  // diffusers: latents / scaling_factor + shift_factor, or latents std / scaling_factor + mean, channel by channel.
  const double scale = vae.config.number("scaling_factor", 1);
  if (scale == 0) vae.config.unsupported("scaling_factor", "latents are divided by it");
  auto mean = vae.config.numbers("latents_mean"), std = vae.config.numbers("latents_std");
  if (mean.empty()) mean.assign(static_cast<std::size_t>(channels), vae.config.number("shift_factor", 0));
  if (std.empty()) std.assign(static_cast<std::size_t>(channels), 1);
  for (auto& each : std) each /= scale;
  space.gain = Tensor::from(std, {channels}, {DType::f64, model.device});
  space.offset = Tensor::from(mean, {channels}, {DType::f64, model.device});
  return space;
}

}  // namespace costate
