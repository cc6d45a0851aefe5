// Family sinusoidal_mlp: a toy network of points whose coordinates become sinusoids like the time
// (github JamesSand/DiffusionModel, MLP).
//
// Two coordinates go in as [sin, cos] of 25 x f with frequencies f that the file holds; longer vectors as they are. Then a linear
// layer, GELU, blocks x + GELU(ff(ln(x))), a layer norm and a linear layer.
#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/cos.h"
#include "autodiff/ops/gelu.h"
#include "autodiff/ops/sin.h"
#include "autodiff/ops/split.h"
#include "nn/from_keys.h"
#include "nn/sizes.h"
#include "nn/time_embedding.h"

namespace costate {
namespace {

constexpr double coordinate_scale = 25;

struct Frequencies {
  Tensor emb;  ///< (width / 2)

  static void fields(auto& self, auto&& visit) { visit("emb", self.emb, Layout::plain, true); }

  /// x (n, 1) -> (n, width). Angles reach hundreds of radians, so they are f64 whatever the network computes in.
  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    const Tensor angles = coordinate_scale * cast(x, DType::f64) * reshape(cast(emb, DType::f64), {1, emb.dim(0)});
    return cast(concat({sin(angles), cos(angles)}, 1), x.dtype());
  }
};

struct Block {
  LayerNorm ln;
  Linear ff;

  static void fields(auto& self, auto&& visit) {
    visit("ln", self.ln);
    visit("ff", self.ff);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const { return x + gelu(ff(ln(x))); }
};

struct SinusoidalMlp {
  TimeProjection time;
  std::vector<Frequencies> coordinates;  ///< keys count from 1
  Linear first, last;
  std::vector<Block> blocks;
  LayerNorm norm;
  std::int64_t steps = 200;

  static void fields(auto& self, auto&& visit) {
    visit("time_emb", self.time);
    for (std::size_t i = 0; i < self.coordinates.size(); ++i)
      visit(fmt::format("input_emb{}", i + 1).c_str(), self.coordinates[i]);
    const auto layer = [&](std::size_t i, auto& member) { visit(fmt::format("joint_mlp.{}", i).c_str(), member); };
    layer(0, self.first);  // 1 is the activation
    for (std::size_t i = 0; i < self.blocks.size(); ++i) layer(i + 2, self.blocks[i]);
    layer(self.blocks.size() + 2, self.norm);
    layer(self.blocks.size() + 3, self.last);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t width = last.weight.dim(1), n = in.x.rank() == 2 ? in.x.dim(0) : 0;
    require(in.x.shape() == Shape{n, width}, "sinusoidal_mlp: wants x (n, {}), got {}", width, in.x.shape());
    require(!in.classes.defined() && !in.z.defined(), "sinusoidal_mlp: takes no condition");
    Tensors parts{in.x};
    if (!coordinates.empty()) parts = split(in.x, 1, std::vector<std::int64_t>(coordinates.size(), 1));
    for (std::size_t i = 0; i < coordinates.size(); ++i) parts[i] = coordinates[i](parts[i]);
    parts.push_back(time(per_row("times", in.t, n), in.x.kind()));
    Tensor h = gelu(first(concat(parts, 1)));
    for (const auto& block : blocks) h = block(h);
    return last(norm(h));
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {last.weight.dim(1)};
    s.out_channels = s.input[0];
    s.summary = fmt::format("MLP of points, {} blocks of width {}", blocks.size(), first.weight.dim(1));
    s.defaults =
        fmt::format(R"({{"prediction": "epsilon", "schedule": {{"type": "ddpm", "num_train_timesteps": {}}}}})", steps);
    return s;
  }
};

SinusoidalMlp make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "num_timesteps embedding_size hidden_size hidden_layers");
  SinusoidalMlp m;
  m.steps = size_from(config, "num_timesteps", 200, 2);
  m.time = stored_frequencies(shape_of(keys, "time_emb.emb", 1)[0], "emb");
  for (std::string key = "input_emb1.emb"; keys.count(key) != 0;
       key = fmt::format("input_emb{}.emb", m.coordinates.size() + 1))
    m.coordinates.push_back({parameter(shape_of(keys, key, 1))});
  const auto layer = [](std::size_t i) { return fmt::format("joint_mlp.{}", i); };
  m.first = linear_of(keys, layer(0));
  while (keys.count(layer(m.blocks.size() + 2) + ".ff.weight") != 0) {
    const std::string at = layer(m.blocks.size() + 2);
    m.blocks.push_back({layer_norm_of(keys, at + ".ln"), linear_of(keys, at + ".ff")});
  }
  m.norm = layer_norm_of(keys, layer(m.blocks.size() + 2));
  m.last = linear_of(keys, layer(m.blocks.size() + 3));
  const auto points = static_cast<std::int64_t>(m.coordinates.size());
  require(points == 0 || points == m.last.weight.dim(1),
          "sinusoidal_mlp: {} embeddings input_embN for points of {} coordinates", points, m.last.weight.dim(1));
  confirm(config, "embedding_size", m.time.width);
  confirm(config, "hidden_size", m.first.weight.dim(1));
  confirm(config, "hidden_layers", static_cast<std::int64_t>(m.blocks.size()));
  return m;
}

}  // namespace

Family sinusoidal_mlp_family() {
  return {"sinusoidal_mlp", "MLP of points with sinusoids of coordinates and time; structure read off the keys",
          by_keys({"time_emb.emb", "joint_mlp.0.weight"}), network_by(make)};
}

}  // namespace costate
