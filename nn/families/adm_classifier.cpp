// Family adm-classifier: EncoderUNetModel of guided-diffusion, the noise-aware classifier of classifier guidance
// (Dhariwal and Nichol 2021). y are the logits (n, classes).
#include <numeric>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/relu.h"
#include "nn/adm_plan.h"
#include "nn/attention_pool.h"
#include "nn/family.h"
#include "nn/unet.h"

namespace costate {
namespace {

constexpr std::int64_t hidden = 2048;  // of the spatial pools

/// From features to logits: four kinds of pooling, of which a network has one.
struct Pool {
  std::optional<GroupNorm> norm;           ///< adaptive, attention: before pooling
  std::optional<AttentionPool> attention;  ///< attention
  std::optional<Linear> linear_1;          ///< spatial: on the means of every cell's features
  std::optional<GroupNorm> norm_2;         ///< spatial_v2: between the two, then SiLU; else ReLU
  std::optional<Linear> linear_2;          ///< adaptive: a 1x1 convolution on the mean

  static void fields(auto& self, auto&& visit) {
    visit("0", self.norm);
    visit("2", self.attention);
    visit("0", self.linear_1);
    visit("1", self.norm_2);
    visit(self.norm || self.norm_2 ? "3" : "2", self.linear_2);
  }

  [[nodiscard]] Tensor operator()(const Tensor& features, const Tensors& each) const {
    if (norm) {
      const Tensor h = norm->then(Activation::silu, features);
      return attention ? (*attention)(h) : (*linear_2)(pixel_mean(h));
    }
    Tensors means;
    for (const auto& f : each) means.push_back(pixel_mean(f));
    const Tensor h = (*linear_1)(concat(means, 1));
    if (!norm_2) return (*linear_2)(relu(h));
    return (*linear_2)(reshape(norm_2->then(Activation::silu, reshape(h, {h.dim(0), 1, 1, hidden})), h.shape()));
  }
};

struct AdmClassifier {
  UNetEmbedding embedding;
  UNet unet;
  Pool out;
  std::int64_t classes = 0, size = 0;
  std::string defaults;

  static void fields(auto& self, auto&& visit) {
    visit("", self.embedding);
    visit("", self.unet);
    visit("out", self.out);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::vector<double> t = per_row("times", in.t, in.x.dim(0));
    Tensors each;
    const Tensor features = unet(in.x, embedding(t, in, in.x.kind()), {}, out.norm ? nullptr : &each);
    return out(features, each);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {size, size, unet.plan.in_channels};
    s.out_channels = classes;
    s.summary = "classifier, half a " + unet.summary();
    s.defaults = defaults;
    return s;
  }
};

Pool make_pool(const Config& config, const AdmOptions& o, const UNet& unet) {
  const std::string kind = config.choice("pool", "adaptive", {"adaptive", "attention", "spatial", "spatial_v2"});
  Pool pool;
  const std::vector<std::int64_t> features = unet.feature_channels();
  const std::int64_t c = features.back();
  if (kind == "adaptive" || kind == "attention") {
    pool.norm.emplace(c, o.groups(c), 1e-5);
    if (kind == "adaptive") pool.linear_2.emplace(c, o.out_channels, Layout::either);
    if (kind == "adaptive") return pool;
    if (o.head_channels < 1) config.unsupported("num_head_channels", "attention pooling wants the width of a head");
    pool.attention.emplace(c, o.image_size / unet.size_step(), o.head_channels, o.out_channels);
    return pool;
  }
  pool.linear_1.emplace(std::accumulate(features.begin(), features.end(), std::int64_t{0}), hidden);
  if (kind == "spatial_v2") pool.norm_2.emplace(hidden, o.groups(hidden), 1e-5);
  pool.linear_2.emplace(hidden, o.out_channels);
  return pool;
}

AdmClassifier make(const Config& config) {
  const AdmOptions o(config, false, "pool");
  UNetPlan plan = adm_plan(o, UNetPlan::at_factors(o.attention, o.mult.size()));
  plan.decoder = false;
  AdmClassifier m;
  m.embedding = adm_embedding(o.model_channels, 4 * o.model_channels, "time_embed");
  m.unet = UNet(std::move(plan));
  m.out = make_pool(config, o, m.unet);
  m.classes = o.out_channels;
  m.size = o.image_size;
  m.defaults = adm_defaults(config);
  return m;
}

}  // namespace

Family adm_classifier_family() {
  return {"adm-classifier", "EncoderUNetModel of guided-diffusion: the classifier of classifier guidance",
          [](const Config&, const KeyShapes& keys) -> std::string {
            const bool found = keys.count("time_embed.0.weight") != 0 && keys.count("input_blocks.0.0.weight") != 0 &&
                               keys.count("output_blocks.0.0.in_layers.0.weight") == 0 &&
                               keys.count("out.0.weight") != 0;
            return found ? "keys time_embed.0, input_blocks and out.0 without output_blocks" : "";
          },
          network_by(make)};
}

}  // namespace costate
