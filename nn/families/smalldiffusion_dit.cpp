// Family smalldiffusion-dit: the diffusion transformer of yuanchenyang/smalldiffusion, told sigma.
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/attention.h"
#include "autodiff/ops/gelu.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/split.h"
#include "nn/conv2d.h"
#include "nn/family.h"
#include "nn/layer_norm.h"
#include "nn/preconditioning.h"
#include "nn/sizes.h"
#include "nn/smalldiffusion.h"

namespace costate {
namespace {

constexpr double norm_eps = 1e-6;

/// The halves of a vector a sample, for every token: (n, 1, width).
Tensors halves_of(const Tensor& v) {
  const std::int64_t width = v.dim(1) / 2;
  return split(reshape(v, {v.dim(0), 1, 2 * width}), 2, {width, width});
}

/// Layer norm without weights, scaled and shifted by the (activated) condition.
Tensor modulated(const Linear& modulation, const Tensor& x, const Tensor& y) {
  const Tensors both = halves_of(modulation(y));
  return LayerNorm::plain(x, norm_eps) * (both[0] + 1) + both[1];
}

struct Block {
  Linear norm1, norm2, gates;  ///< of the condition: scale and shift; scale and shift; two gates
  Linear qkv, proj;
  Linear wide, narrow;
  std::int64_t heads = 1;

  Block() = default;
  Block(std::int64_t width, std::int64_t hidden, std::int64_t number)
      : norm1(width, 2 * width),
        norm2(norm1),
        gates(norm1),
        qkv(width, 3 * width),
        proj(width, width),
        wide(width, hidden),
        narrow(hidden, width),
        heads(number) {}

  static void fields(auto& self, auto&& visit) {
    visit("norm1.modulation.proj.1", self.norm1);
    visit("attn.qkv", self.qkv);
    visit("attn.proj", self.proj);
    visit("norm2.modulation.proj.1", self.norm2);
    visit("mlp.0", self.wide);
    visit("mlp.2", self.narrow);
    visit("scale_modulation.proj.1", self.gates);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& y) const {
    const std::int64_t width = x.dim(2);
    const Tensors gate = halves_of(gates(y)), parts = split(qkv(modulated(norm1, x, y)), 2, {width, width, width});
    const double scale = std::sqrt(static_cast<double>(heads) / static_cast<double>(width));
    const Tensor h = x + gate[0] * proj(attention(parts[0], parts[1], parts[2], heads, scale));
    return h + gate[1] * narrow(gelu_tanh(wide(modulated(norm2, h, y))));
  }
};

struct SmallDit {
  Conv2d x_embed;
  Tensor pos_embed;  ///< (1, tokens, width); its authors do not train it
  UNetEmbedding embedding;
  std::vector<Block> blocks;
  Linear final_norm, final_linear;
  std::int64_t size = 0, patch = 2;
  bool scaled = false;
  std::string defaults;

  static void fields(auto& self, auto&& visit) {
    visit("pos_embed", self.pos_embed);
    visit("x_embed.proj", self.x_embed);
    visit("", self.embedding);
    visit("blocks", self.blocks);
    visit("final_norm.modulation.proj.1", self.final_norm);
    visit("final_linear", self.final_linear);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t n = in.x.rank() == 4 ? in.x.dim(0) : 0, c = x_embed.weight.dim(2), side = size / patch;
    require(in.x.shape() == Shape{n, size, size, c}, "smalldiffusion-dit: wants x (n, {}, {}, {}), got {}", size, size,
            c, in.x.shape());
    const std::vector<double> sigma = per_row("times", in.t, n);
    const Tensor y = embedding(sigma, in, in.x.kind());
    Tensor h = x_embed(scaled ? unit_scale(in.x, sigma) : in.x);
    h = reshape(h, {n, side * side, h.dim(3)}) + pos_embed;
    for (const auto& block : blocks) h = block(h, y);
    h = final_linear(modulated(final_norm, h, y));  // rows: row in the patch, column, channel
    h = permute(reshape(h, {n, side, side, patch, patch, c}), {0, 1, 3, 2, 4, 5});
    return reshape(h, in.x.shape());
  }
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const {
    require(embedding.label.has_value(), "smalldiffusion-dit: labels were given to a network without a label table");
    return (*embedding.label)(classes);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {size, size, x_embed.weight.dim(2)};
    s.out_channels = s.input[2];
    if (embedding.label) {
      s.classes = embedding.label->rows();
      s.z = {embedding.label->width()};
    }
    s.summary = fmt::format("transformer on patches of {}, {} blocks, width {}", patch, blocks.size(),
                            final_linear.weight.dim(0));
    s.defaults = defaults;
    return s;
  }
};

SmallDit make(const Config& config) {
  refuse_unknown(config,
                 "in_dim channels patch_size depth head_dim num_heads mlp_ratio cond_embed Scaled PredX0 PredV "
                 "PredFlow");
  SmallDit m;
  m.size = size_from(config, "in_dim", 32);
  m.patch = size_from(config, "patch_size", 2);
  const std::int64_t channels = size_from(config, "channels", 3), heads = size_from(config, "num_heads", 6),
                     width = heads * size_from(config, "head_dim", 64);
  if (m.size % m.patch != 0) config.unsupported("patch_size", "must divide in_dim");
  const std::int64_t side = m.size / m.patch;
  m.x_embed = Conv2d(channels, width, m.patch, {.stride_h = m.patch, .stride_w = m.patch});
  m.pos_embed = parameter({1, side * side, width});
  m.embedding = smalldiffusion_embedding(config, width);
  const auto hidden = static_cast<std::int64_t>(static_cast<double>(width) * config.number("mlp_ratio", 4));
  m.blocks.assign(static_cast<std::size_t>(count_from(config, "depth", 12)), Block(width, hidden, heads));
  m.final_norm = Linear(width, 2 * width);
  m.final_linear = Linear(width, m.patch * m.patch * channels);
  m.scaled = config.flag("Scaled", false);
  m.defaults = smalldiffusion_defaults(config);
  return m;
}

}  // namespace

Family smalldiffusion_dit_family() {
  return {"smalldiffusion-dit", "DiT of smalldiffusion, told sigma",
          by_keys({"pos_embed", "blocks.0.scale_modulation.proj.1.weight"}), network_by(make)};
}

}  // namespace costate
