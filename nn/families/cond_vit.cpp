// Family cond_vit: a transformer on patches that is told time and label as further tokens, and returns the clean image
// (github sofia-dominguezc/MNIST-diffusion, DiffusionViT).
//
// Time and label are vectors of twice the width, each cut into two tokens behind those of the patches. The network's time is
// the share of the image in x = t x_0 + (1 - t) eps: in eval it is given as t, and samplers tell it as the level's alpha.
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/slice.h"
#include "nn/encoder_layer.h"
#include "nn/sizes.h"
#include "nn/unet_embedding.h"

namespace costate {
namespace {

struct CondVit {
  Conv2d patch_embed;
  Tensor pos_embed;  ///< (1, patches, width)
  std::vector<EncoderLayer> transformer;
  TransposedConv2d unpatch;
  LabelEmbedding label;  ///< of twice the width; the last row is none
  Shape input;           ///< (h, w, c)

  static void fields(auto& self, auto&& visit) {
    visit("pos_embed", self.pos_embed);
    visit("patch_embed", self.patch_embed);
    visit("transformer", self.transformer);
    visit("unpatch", self.unpatch);
    visit("", self.label);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t n = in.x.rank() == 4 ? in.x.dim(0) : 0, width = pos_embed.dim(2), patches = pos_embed.dim(1);
    require(in.x.shape() == input.with_front(n), "cond_vit: wants x (n, ...) of {}, got {}", input, in.x.shape());
    const auto t = per_row("times", in.alpha.empty() ? in.t : in.alpha, n);
    const auto two_tokens = [&](const Tensor& v) { return reshape(v, {n, 2, width}); };
    const Tensor image = patch_embed(in.x);
    const Tensor tokens = reshape(image, {n, patches, width}) + pos_embed;
    Tensor h = concat({tokens, two_tokens(sinusoids(t, 2 * width, false, 1, in.x.kind())), two_tokens(label(in))}, 1);
    for (const auto& layer : transformer) h = layer(h);
    return unpatch(reshape(slice(h, 1, 0, patches), image.shape()));
  }
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const { return label(classes); }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = input;
    s.out_channels = input[2];
    s.classes = label.rows();
    s.z = {label.width()};
    s.summary = fmt::format("transformer on patches of {}, {} layers of width {}, {} heads", patch_embed.weight.dim(0),
                            transformer.size(), pos_embed.dim(2), transformer.front().heads);
    s.defaults = R"({"prediction": "sample", "schedule": {"type": "flow", "t_min": 0, "t_max": 1},
                     "sampling": {"grid": "t", "range": [0, 1]}})";
    return s;
  }
};

/// (h, w) of the configuration, or of a square with as many patches.
Shape size_of(const Config& config, std::int64_t patch, std::int64_t patches) {
  const std::int64_t side = std::lround(std::sqrt(static_cast<double>(patches)));
  const auto [h, w] = sides_from(config, "image_size", {side * patch, side * patch});
  if (h % patch != 0 || w % patch != 0 || (h / patch) * (w / patch) != patches)
    config.unsupported("image_size", fmt::format("pos_embed has {} patches of {}", patches, patch));
  return {h, w};
}

CondVit make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "in_channels image_size patch_size dim n_heads n_layers mlp_ratio n_classes");
  const Shape patch = shape_of(keys, "patch_embed.weight", 4), position = shape_of(keys, "pos_embed", 3),
              table = shape_of(keys, "y_encoder.weight", 2);
  const ConvGeometry geometry{.stride_h = patch[2], .stride_w = patch[3]};
  CondVit m;
  m.patch_embed = conv_of(keys, "patch_embed", geometry);
  m.pos_embed = parameter(position);
  m.transformer = encoder_layers_of(keys, "transformer", size_from(config, "n_heads", 4));
  m.unpatch = transposed_conv_of(keys, "unpatch", geometry);
  m.label.table = parameter(table);
  m.label.table_key = "y_encoder.weight";
  require(table[1] == 2 * position[2], "cond_vit: y_encoder.weight {} should be twice as wide as pos_embed {}", table,
          position);
  const Shape size = size_of(config, patch[2], position[1]);
  m.input = {size[0], size[1], patch[1]};
  confirm(config, "in_channels", patch[1]);
  confirm(config, "patch_size", patch[2]);
  confirm(config, "dim", position[2]);
  confirm(config, "n_layers", static_cast<std::int64_t>(m.transformer.size()));
  confirm(config, "n_classes", table[0] - 1);
  return m;
}

}  // namespace

Family cond_vit_family() {
  return {"cond_vit", "transformer on patches with time and label as tokens, returns the clean image",
          by_keys({"y_encoder.weight", "unpatch.weight", "transformer.0.self_attn.in_proj_weight"}), network_by(make)};
}

}  // namespace costate
