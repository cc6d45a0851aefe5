// Family time_classifier: a small classifier of noisy images that is told the time, for classifier guidance (github
// liamw4ng-sketch/mnist-diffusion-sde, TimeDependentMNISTClassifier).
//
// Stage i: a convolution (of stride 2 from the second on), the time through a linear layer added to every pixel, group norm, SiLU.
// Then the mean over the pixels and two linear layers with SiLU between.
#include "autodiff/ops/silu.h"
#include "nn/from_keys.h"
#include "nn/pixel_mean.h"
#include "nn/sizes.h"
#include "nn/time_embedding.h"

namespace costate {
namespace {

struct Stage {
  Conv2d conv;
  Linear time;
  GroupNorm norm;
};

struct TimeClassifier {
  TimeProjection projection;
  Linear embed_1, embed_3, head_0, head_3;
  std::vector<Stage> stages;
  std::int64_t height = 28, width = 28;  ///< the usual size; any other works

  static void fields(auto& self, auto&& visit) {
    visit("embed.0", self.projection);
    visit("embed.1", self.embed_1);
    visit("embed.3", self.embed_3);
    for (std::size_t i = 0; i < self.stages.size(); ++i) {
      visit(fmt::format("conv{}", i + 1).c_str(), self.stages[i].conv);
      visit(fmt::format("time{}.dense", i + 1).c_str(), self.stages[i].time);
      visit(fmt::format("norm{}", i + 1).c_str(), self.stages[i].norm);
    }
    visit("head.0", self.head_0);
    visit("head.3", self.head_3);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t channels = stages.front().conv.weight.dim(2);
    require(in.x.rank() == 4 && in.x.dim(3) == channels, "time_classifier: wants x (n, h, w, {}), got {}", channels,
            in.x.shape());
    require(!in.classes.defined() && !in.z.defined(), "time_classifier: takes no condition");
    const Tensor time = projection(per_row("time", in.t, in.x.dim(0)), in.x.kind());
    const Tensor embedding = embed_3(silu(embed_1(time)));
    Tensor h = in.x;
    for (const auto& stage : stages) h = stage.norm.then(Activation::silu, stage.conv(h, stage.time(embedding)));
    return head_3(silu(head_0(pixel_mean(h))));
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {height, width, stages.front().conv.weight.dim(2)};
    s.out_channels = head_3.weight.dim(1);
    s.summary = fmt::format("classifier of noisy images, {} stages, {} classes", stages.size(), s.out_channels);
    s.defaults = R"({"schedule": {"type": "vp_linear"}, "sampling": {"range": [0, 1]}})";
    return s;
  }
};

TimeClassifier make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "groups sample_size");
  TimeClassifier m;
  const Shape frequencies = shape_of(keys, "embed.0.rff_weights", 1);
  m.projection = {.kind = TimeProjection::Kind::fourier,
                  .width = 2 * frequencies[0],
                  .cos_first = false,
                  .of_log = false,
                  .weight = parameter(frequencies),
                  .key = "rff_weights",
                  .buffer = true};
  m.embed_1 = linear_of(keys, "embed.1");
  m.embed_3 = linear_of(keys, "embed.3");
  const auto groups = config.integers("groups");  // the keys do not say; the authors' are 4, 8, 8
  for (std::int64_t i = 1; keys.count(fmt::format("conv{}.weight", i)) != 0; ++i) {
    const std::string conv = fmt::format("conv{}", i);
    const Shape w = shape_of(keys, conv + ".weight", 4);
    ConvGeometry how = same_padding(w[2], w[3]);
    if (i > 1) how.stride_h = how.stride_w = 2;
    const auto k = static_cast<std::size_t>(i - 1);
    require(groups.empty() || k < groups.size(), "{}: groups wants a number for each convolution", config.where());
    m.stages.push_back(
        {conv_of(keys, conv, how), linear_of(keys, fmt::format("time{}.dense", i)),
         group_norm_of(keys, fmt::format("norm{}", i), groups.empty() ? (i == 1 ? 4 : 8) : groups[k], 1e-5)});
  }
  require(!m.stages.empty(), "time_classifier: there are no convolutions conv1, conv2 ...");
  m.head_0 = linear_of(keys, "head.0");
  m.head_3 = linear_of(keys, "head.3");
  std::tie(m.height, m.width) = sides_from(config, "sample_size", {m.height, m.width});
  return m;
}

}  // namespace

Family time_classifier_family() {
  return {"time_classifier", "small classifier of noisy images that is told the time; structure read off the keys",
          by_keys({"embed.0.rff_weights", "time1.dense.weight", "head.3.weight"}), network_by(make)};
}

}  // namespace costate
