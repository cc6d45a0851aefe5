// Family cnn_gelu: convolutions at full size with layer norms over whole images, told the time after the first
// (github Yichizz/hot_vs_cold_diffusion, DDPM of a CNN).
//
// A block is activation(ln(conv(x))); a last convolution makes the noise of it. The time, as a share of the steps, goes through
// [sin(t f), cos(t f) - 1] and four linear layers. Files also hold the tables of the schedule.
#include <nlohmann/json.hpp>

#include "autodiff/ops/concat.h"
#include "nn/from_keys.h"
#include "nn/schedule_tables.h"
#include "nn/sizes.h"
#include "nn/time_embedding.h"

namespace costate {
namespace {

struct Block {
  Conv2d conv;
  ImageNorm norm;

  static void fields(auto& self, auto&& visit) {
    visit("net.0", self.conv);
    visit("net.1", self.norm);
  }
};

struct CnnGelu {
  ScheduleTables tables;
  TimeProjection projection;
  std::vector<Linear> time;  ///< under even numbers: activations count too
  std::vector<Block> blocks;
  Conv2d last;
  Activation activation = Activation::gelu;
  std::string prefix;

  static void fields(auto& self, auto&& visit) {
    const auto under = [&](const std::string& name, auto& member) {
      visit(join_key(self.prefix, name).c_str(), member);
    };
    visit("", self.tables);
    under("", self.projection);
    for (std::size_t i = 0; i < self.time.size(); ++i) under(fmt::format("time_embed.{}", 2 * i), self.time[i]);
    under("blocks", self.blocks);
    under(fmt::format("blocks.{}", self.blocks.size()), self.last);
  }

  /// (n, channels of the first block)
  [[nodiscard]] Tensor time_vector(const std::vector<double>& t, Kind kind) const {
    const std::int64_t count = projection.weight.dim(0);
    const Tensor shift = concat({Tensor::zeros({1, count}, kind), Tensor::full({1, count}, -1, kind)}, 1);
    Tensor e = time.front()(add(projection(t, kind), shift));
    for (std::size_t i = 1; i < time.size(); ++i) e = time[i](activate(activation, e));
    return e;
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t n = in.x.rank() == 4 ? in.x.dim(0) : 0;
    require(!in.classes.defined() && !in.z.defined(), "cnn_gelu: takes no condition");
    Tensor h = in.x;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      h = activate(activation, blocks[i].norm(blocks[i].conv(h)));
      if (i > 0) continue;
      h = add(h, reshape(time_vector(per_row("times", in.t, n), in.x.kind()), {n, 1, 1, h.dim(3)}));
    }
    return last(h);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = blocks.front().norm.weight.shape().with(-1, blocks.front().conv.weight.dim(2));
    s.out_channels = last.weight.dim(3);
    s.summary = fmt::format("{} convolutions with layer norms over images", blocks.size() + 1);
    const std::vector<double> betas = tables.values("beta_t");
    const auto steps = betas.empty() ? 1001.0 : static_cast<double>(betas.size());
    nlohmann::json schedule = {{"type", "ddpm"}, {"num_train_timesteps", steps}};
    if (!betas.empty()) schedule = {{"type", "ddpm"}, {"betas", betas}};
    s.defaults = nlohmann::json{{"prediction", "epsilon"},
                                {"schedule", schedule},
                                {"sampling", {{"time_scale", 1 / (steps - 1)}, {"range", {-0.5, 0.5}}}}}
                     .dump();
    return s;
  }
};

CnnGelu make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "in_channels act");
  CnnGelu m;
  m.prefix = keys.count("gt.frequencies") != 0 ? "gt" : "";
  const auto key = [&](const std::string& name) { return join_key(m.prefix, name); };
  m.tables = schedule_tables_of(keys, m.prefix);
  m.projection = stored_frequencies(shape_of(keys, key("frequencies"), 1)[0], "frequencies");
  for (std::string at = key("time_embed.0"); keys.count(at + ".weight") != 0;
       at = key(fmt::format("time_embed.{}", 2 * m.time.size())))
    m.time.push_back(linear_of(keys, at));
  require(!m.time.empty(), "cnn_gelu: there are no layers {}", key("time_embed.N"));
  for (std::string at = key("blocks.0"); keys.count(at + ".net.0.weight") != 0;
       at = key(fmt::format("blocks.{}", m.blocks.size())))
    m.blocks.push_back({conv_of(keys, at + ".net.0"), image_norm_of(keys, at + ".net.1")});
  m.last = conv_of(keys, key(fmt::format("blocks.{}", m.blocks.size())));
  m.activation = activation_from(config, "act", {"gelu", "relu", "silu", "tanh"});
  confirm(config, "in_channels", m.blocks.front().conv.weight.dim(2));
  return m;
}

bool recognised(const KeyShapes& keys, const std::string& prefix) {
  return keys.count(join_key(prefix, "frequencies")) != 0 && keys.count(join_key(prefix, "blocks.0.net.0.weight")) != 0;
}

}  // namespace

Family cnn_gelu_family() {
  return {"cnn_gelu", "convolutions with layer norms over whole images, told the time after the first",
          [](const Config&, const KeyShapes& keys) -> std::string {
            return recognised(keys, "gt") || recognised(keys, "") ? "keys frequencies and blocks.0.net" : "";
          },
          network_by(make)};
}

}  // namespace costate
