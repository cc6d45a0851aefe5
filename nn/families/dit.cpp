// Family dit: diffusers' DiTTransformer2DModel, the class-conditional diffusion transformer with adaLN-Zero blocks (Peebles & Xie
// 2023, arXiv:2212.09748). Every block embeds time and label by itself.
#include <cmath>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/rows.h"
#include "autodiff/ops/split.h"
#include "autodiff/ops/sum.h"
#include "nn/conv2d.h"
#include "nn/family.h"
#include "nn/feed_forward.h"
#include "nn/layer_norm.h"
#include "nn/sizes.h"
#include "nn/time_embedding.h"
#include "nn/token_attention.h"

namespace costate {
namespace {

constexpr std::int64_t time_features = 256;
constexpr double adaptive_eps = 1e-6;

/// Rows (n, parts * width) as `parts` tensors (n, 1, width).
Tensors split_rows(const Tensor& rows, std::int64_t parts) {
  const Shape one_token{rows.dim(0), 1, rows.dim(1)};
  return split(reshape(rows, one_token), 2, std::vector(static_cast<std::size_t>(parts), rows.dim(1) / parts));
}

/// x (1 + scale) + shift
Tensor modulate(const Tensor& x, const Tensor& shift, const Tensor& scale) { return x * (scale + 1) + shift; }

struct DiTBlock {
  TimeEmbedding timestep_embedder;
  Tensor label_table;  ///< (labels, width)
  Linear modulation;   ///< to six rows
  TokenAttention attn1;
  LayerNorm norm3;
  FeedForward ff;

  static void fields(auto& self, auto&& visit) {
    visit("norm1.emb.timestep_embedder", self.timestep_embedder);
    visit("norm1.emb.class_embedder.embedding_table.weight", self.label_table);
    visit("norm1.linear", self.modulation);
    visit("attn1", self.attn1);
    visit("norm3", self.norm3);
    visit("ff", self.ff);
  }

  /// (n, width)
  [[nodiscard]] Tensor condition(const Tensor& time, const Tensor& classes) const {
    return timestep_embedder(time) + gather_rows(label_table, classes);
  }
  [[nodiscard]] Tensor operator()(Tensor x, const Tensor& time, const Tensor& classes) const {
    const Tensors m = split_rows(modulation(silu(condition(time, classes))), 6);
    const Tensor h = modulate(LayerNorm::plain(x, adaptive_eps), m[0], m[1]);
    x = x + m[2] * attn1(h, h);
    return x + m[5] * ff(modulate(norm3(x), m[3], m[4]));
  }
};

struct DiT {
  Conv2d patches;
  std::vector<DiTBlock> blocks;
  Linear proj_out_1, proj_out_2;
  std::int64_t sample_size = 0, patch = 1, classes = 0;

  static void fields(auto& self, auto&& visit) {
    visit("pos_embed.proj", self.patches);
    visit("transformer_blocks", self.blocks);
    visit("proj_out_1", self.proj_out_1);
    visit("proj_out_2", self.proj_out_2);
  }

  [[nodiscard]] std::int64_t width() const { return patches.weight.dim(3); }

  /// The fixed table (1, side side, width): the first half of a row from the column, the second from the row, in units of the
  /// trained grid. Both are the same few numbers.
  [[nodiscard]] Tensor positions(std::int64_t side, Kind kind) const {
    const auto scale = static_cast<double>(side) / static_cast<double>(sample_size / patch);
    std::vector<double> at;
    for (std::int64_t i = 0; i < side; ++i) at.push_back(static_cast<double>(i) / scale);
    const std::int64_t half = width() / 2;
    const Tensor waves = sinusoids(at, half, false, 0, kind);
    const Shape all{side, side, half};
    const Tensor columns = broadcast_to(reshape(waves, {1, side, half}), all),
                 rows = broadcast_to(reshape(waves, {side, 1, half}), all);
    return reshape(concat({columns, rows}, 2), {1, side * side, width()});
  }

  /// x (n, s, s, channels), t a row, labels -> (n, s, s, out channels)
  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const Tensor& x = in.x;
    require(x.rank() == 4 && x.dim(1) == x.dim(2) && x.dim(1) % patch == 0 && x.dim(3) == patches.weight.dim(2),
            "dit: wants square x (n, s, s, {}) with s divisible by {}, got {}", patches.weight.dim(2), patch,
            x.shape());
    require(in.classes.defined() && in.classes.shape() == Shape{x.dim(0)}, "dit: wants a label (class) for each row");
    require(!in.z.defined(), "dit: takes labels, no z: every block has a table of its own");
    for (const double label : in.classes.to_vector())
      require(label >= 0 && label < static_cast<double>(classes), "dit: label {} is outside 0 to {}", label,
              classes - 1);
    const std::int64_t n = x.dim(0), side = x.dim(1) / patch;
    const Tensor time = sinusoids(per_row("times", in.t, n), time_features, true, 1, x.kind());
    Tensor h = reshape(patches(x), {n, side * side, width()}) + positions(side, x.kind());
    for (const auto& block : blocks) h = block(h, time, in.classes);
    const Tensors m = split_rows(proj_out_1(silu(blocks.front().condition(time, in.classes))), 2);
    h = proj_out_2(modulate(LayerNorm::plain(h, adaptive_eps), m[0], m[1]));
    const std::int64_t channels = h.dim(2) / (patch * patch);  // a token is (row, column, channel)
    h = permute(reshape(h, {n * side, side, patch, patch * channels}), {0, 2, 1, 3});
    return reshape(h, {n, side * patch, side * patch, channels});
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {sample_size, sample_size, patches.weight.dim(2)};
    s.out_channels = proj_out_2.weight.dim(1) / (patch * patch);
    s.classes = classes;
    s.summary = fmt::format("diffusion transformer, {} blocks of width {}, patches of {} x {}", blocks.size(), width(),
                            patch, patch);
    return s;
  }
};

DiT make(const Config& c) {
  // The last six are of the old class and leave their marks in the keys, where they change anything.
  refuse_unknown(c,
                 "num_attention_heads attention_head_dim in_channels out_channels num_layers dropout norm_num_groups "
                 "attention_bias sample_size patch_size activation_fn num_embeds_ada_norm upcast_attention norm_type "
                 "norm_elementwise_affine norm_eps cross_attention_dim num_vector_embeds only_cross_attention "
                 "double_self_attention use_linear_projection attention_type");
  static_cast<void>(c.choice("norm_type", "ada_norm_zero", {"ada_norm_zero"}));
  const std::int64_t heads = size_from(c, "num_attention_heads", 16),
                     head_width = size_from(c, "attention_head_dim", 72), width = heads * head_width,
                     in = size_from(c, "in_channels", 4), out = size_from(c, "out_channels", in);
  if (width % 4 != 0) c.unsupported("attention_head_dim", "the position table wants a width divisible by 4");
  DiT m;
  m.sample_size = size_from(c, "sample_size", 32);
  m.patch = size_from(c, "patch_size", 2);
  if (m.sample_size % m.patch != 0) c.unsupported("patch_size", "must divide sample_size");
  if (c.is_null("num_embeds_ada_norm")) c.unsupported("num_embeds_ada_norm", "adaLN-Zero wants the number of labels");
  m.classes = size_from(c, "num_embeds_ada_norm", 1000) + 1;  // the last row is "no label"
  m.patches = Conv2d(in, width, m.patch, {.stride_h = m.patch, .stride_w = m.patch});
  DiTBlock block;
  block.timestep_embedder = TimeEmbedding(time_features, width);
  block.label_table = parameter({m.classes, width});
  block.modulation = Linear(width, 6 * width);
  block.attn1 = TokenAttention(width, width, heads, head_width, c.flag("attention_bias", true));
  block.norm3 = LayerNorm(width, c.number("norm_eps", 1e-5));
  if (!c.flag("norm_elementwise_affine", false)) block.norm3.weight = block.norm3.bias = Tensor();
  block.ff = FeedForward(width, FeedForward::kind_from(c, "activation_fn", "gelu-approximate"));
  m.blocks.assign(static_cast<std::size_t>(count_from(c, "num_layers", 28)), block);
  m.proj_out_1 = Linear(width, 2 * width);
  m.proj_out_2 = Linear(width, m.patch * m.patch * out);
  return m;
}

}  // namespace

Family dit_family() {
  return {"dit", "diffusion transformer with adaLN-Zero blocks: diffusers' DiTTransformer2DModel",
          [](const Config& config, const KeyShapes&) -> std::string {
            const std::string name = config.text("_class_name", "");
            const bool old = name == "Transformer2DModel" && config.text("norm_type", "") == "ada_norm_zero";
            return name == "DiTTransformer2DModel" || old ? "_class_name = " + name : "";
          },
          network_by(make)};
}

}  // namespace costate
