// Family dit_adaln: a transformer on patches whose layers are scaled, shifted and gated by time and label
// (github Franfee/DM-DiT-DDPM-MNIST-class-cond-ImageGen, DiT).
//
// Heads are as wide as the whole network. Its authors divide the logits of attention by the root of the number of tokens, not
// of the width; so does this family.
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/attention.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/relu.h"
#include "nn/from_keys.h"
#include "nn/sizes.h"
#include "nn/unet_embedding.h"

namespace costate {
namespace {

/// Layer norm, then a gain and an offset that depend on the sample: ln(x) (1 + gamma) + beta.
Tensor modulated(const LayerNorm& norm, const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  return norm(x) * (gamma + 1) + beta;
}

struct Block {
  Linear gamma1, beta1, alpha1, gamma2, beta2, alpha2;  ///< of the condition
  LayerNorm ln1, ln2;
  Linear wq, wk, wv, lv, wide, narrow;

  Block(const KeyShapes& keys, const std::string& prefix) {
    const auto linear = [&](const char* name) { return linear_of(keys, join_key(prefix, name)); };
    gamma1 = linear("gamma1"), beta1 = linear("beta1"), alpha1 = linear("alpha1");
    gamma2 = linear("gamma2"), beta2 = linear("beta2"), alpha2 = linear("alpha2");
    ln1 = layer_norm_of(keys, join_key(prefix, "ln1")), ln2 = layer_norm_of(keys, join_key(prefix, "ln2"));
    wq = linear("wq"), wk = linear("wk"), wv = linear("wv"), lv = linear("lv");
    wide = linear("ff.0"), narrow = linear("ff.2");
    const Shape& q = wq.weight.shape();
    require(q[1] % q[0] == 0, "dit_adaln: {}.wq.weight should have a multiple of {} rows, has {}", prefix, q[0], q[1]);
  }

  static void fields(auto& self, auto&& visit) {
    visit("gamma1", self.gamma1);
    visit("beta1", self.beta1);
    visit("alpha1", self.alpha1);
    visit("gamma2", self.gamma2);
    visit("beta2", self.beta2);
    visit("alpha2", self.alpha2);
    visit("ln1", self.ln1);
    visit("ln2", self.ln2);
    visit("wq", self.wq);
    visit("wk", self.wk);
    visit("wv", self.wv);
    visit("lv", self.lv);
    visit("ff.0", self.wide);
    visit("ff.2", self.narrow);
  }

  [[nodiscard]] std::int64_t heads() const { return wq.weight.dim(1) / wq.weight.dim(0); }

  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& condition) const {
    const auto token = [&](const Linear& layer) {  // the same for every token
      return reshape(layer(condition), {x.dim(0), 1, x.dim(2)});
    };
    const Tensor y = modulated(ln1, x, token(gamma1), token(beta1));
    const double scale = 1 / std::sqrt(static_cast<double>(x.dim(1)));
    const Tensor h = x + token(alpha1) * lv(attention(wq(y), wk(y), wv(y), heads(), scale));
    return h + token(alpha2) * narrow(relu(wide(modulated(ln2, h, token(gamma2), token(beta2)))));
  }
};

struct DitAdaln {
  Conv2d conv;  ///< from patches to as many channels as they have numbers
  Linear patch_emb;
  Tensor position;  ///< (1, tokens, width)
  UNetEmbedding embedding;
  std::vector<Block> blocks;
  LayerNorm ln;
  Linear linear;
  std::int64_t side = 0;  ///< in patches

  static void fields(auto& self, auto&& visit) {
    visit("patch_pos_emb", self.position);
    visit("conv", self.conv);
    visit("patch_emb", self.patch_emb);
    visit("", self.embedding);
    visit("dits", self.blocks);
    visit("ln", self.ln);
    visit("linear", self.linear);
  }

  [[nodiscard]] Shape input() const {
    return {side * conv.weight.dim(0), side * conv.weight.dim(1), conv.weight.dim(2)};
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t n = in.x.rank() == 4 ? in.x.dim(0) : 0, p = conv.weight.dim(0), c = conv.weight.dim(2);
    require(in.x.shape() == input().with_front(n), "dit_adaln: wants x (n, ...) of {}, got {}", input(), in.x.shape());
    const Tensor condition = embedding(per_row("times", in.t, n), in, in.x.kind());
    Tensor h = patch_emb(reshape(conv(in.x), {n, side * side, conv.weight.dim(3)})) + position;
    for (const auto& block : blocks) h = block(h, condition);
    h = linear(ln(h));  // a patch is (channel, row, column)
    h = permute(reshape(h, {n, side, side, c, p, p}), {0, 1, 4, 2, 5, 3});
    return reshape(h, in.x.shape());
  }
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const { return (*embedding.label)(classes); }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = input();
    s.out_channels = conv.weight.dim(2);
    s.classes = embedding.label->rows();
    s.null_class = false;
    s.z = {embedding.label->width()};
    s.summary = fmt::format("transformer on patches of {}, {} blocks of width {}, {} heads as wide", conv.weight.dim(0),
                            blocks.size(), position.dim(2), blocks.front().heads());
    s.defaults = R"({"prediction": "epsilon", "schedule": {"type": "ddpm"}})";
    return s;
  }
};

UNetEmbedding embedding_of(const KeyShapes& keys) {
  UNetEmbedding e;
  e.projection = stored_frequencies(shape_of(keys, "time_emb.0.half_emb", 1)[0], "half_emb");
  e.linear_1 = linear_of(keys, "time_emb.1");
  e.linear_2 = linear_of(keys, "time_emb.3");
  e.between = Activation::relu;
  e.last = Activation::identity;
  e.label.emplace();
  e.label->table = parameter(shape_of(keys, "label_emb.weight", 2));
  e.label->table_key = "label_emb.weight";
  e.projection_key = "time_emb.0", e.key_1 = "time_emb.1", e.key_2 = "time_emb.3";
  return e;
}

DitAdaln make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "img_size patch_size channel emb_size label_num dit_num head");
  const Shape patch = shape_of(keys, "conv.weight", 4), position = shape_of(keys, "patch_pos_emb", 3);
  DitAdaln m;
  m.conv = conv_of(keys, "conv", {.stride_h = patch[2], .stride_w = patch[3]});
  m.patch_emb = linear_of(keys, "patch_emb");
  m.position = parameter(position);
  m.embedding = embedding_of(keys);
  for (std::int64_t i = 0; i < count_of(keys, "dits"); ++i) m.blocks.emplace_back(keys, fmt::format("dits.{}", i));
  require(!m.blocks.empty(), "dit_adaln: there are no blocks dits.N");
  m.ln = layer_norm_of(keys, "ln");
  m.linear = linear_of(keys, "linear");
  m.side = std::lround(std::sqrt(static_cast<double>(position[1])));
  require(m.side * m.side == position[1] && patch[2] == patch[3],
          "dit_adaln: wants square images of square patches; patch_pos_emb is {}, conv.weight {}", position, patch);
  confirm(config, "img_size", m.side * patch[2]);
  confirm(config, "patch_size", patch[2]);
  confirm(config, "channel", patch[1]);
  confirm(config, "emb_size", position[2]);
  confirm(config, "label_num", m.embedding.label->rows());
  confirm(config, "dit_num", static_cast<std::int64_t>(m.blocks.size()));
  confirm(config, "head", m.blocks.front().heads());
  return m;
}

}  // namespace

Family dit_adaln_family() {
  return {"dit_adaln", "DiT with affine layer norms, scaled, shifted and gated by time and label",
          by_keys({"patch_pos_emb", "dits.0.gamma1.weight"}), network_by(make)};
}

}  // namespace costate
