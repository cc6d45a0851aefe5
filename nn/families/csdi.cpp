// Family csdi: imputation of time series by attention along time and along variables, in turn
// (Tashiro, Song, Song, Ermon, "CSDI", NeurIPS 2021; github ermongroup/CSDI, diff_CSDI).
//
// x (n, variables, times, 2): what is observed, and the noisy rest, each 0 where the other is; or only the latter in
// unconditional models. z (n, variables, times, side): features of time and variable, and last the mask, 1 where it is observed.
// y has one channel. Part `denoise`, which samplers run: x is all that is noisy, `observed` a further input, both (n, variables,
// times, 1); the mask joins them.
#include <cmath>
#include <nlohmann/json.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/sigmoid.h"
#include "autodiff/ops/silu.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/split.h"
#include "autodiff/ops/tanh.h"
#include "nn/encoder_layer.h"
#include "nn/sizes.h"

namespace costate {
namespace {

/// [sin, cos] of step 10^(4 k / (width / 2 - 1)). Phases reach 5e5, so how frequencies and phases are rounded shows: they are
/// f32, step by step, as in the authors' tables that networks were trained with.
Tensor step_waves(const std::vector<double>& steps, std::int64_t width, Kind kind) {
  const std::int64_t half = width / 2;
  std::vector<double> values;
  for (const double step : steps) {
    std::vector<double> phases;
    for (std::int64_t k = 0; k < half; ++k) {
      const float exponent = static_cast<float>(k) / static_cast<float>(half - 1) * 4.0F;
      const auto frequency = static_cast<float>(std::pow(10.0, static_cast<double>(exponent)));
      phases.push_back(static_cast<double>(static_cast<float>(step) * frequency));
    }
    for (const double phase : phases) values.push_back(std::sin(phase));
    for (const double phase : phases) values.push_back(std::cos(phase));
  }
  return Tensor::from(values, {static_cast<std::int64_t>(steps.size()), width}, kind);
}

/// x (n, rows, tokens, width): attention among the tokens of a row. A single token goes through unchanged.
Tensor along_rows(const std::vector<EncoderLayer>& layers, const Tensor& x) {
  if (x.dim(2) == 1) return x;
  Tensor h = reshape(x, {x.dim(0) * x.dim(1), x.dim(2), x.dim(3)});
  for (const auto& layer : layers) h = layer(h);
  return reshape(h, x.shape());
}

struct Residual {
  Linear step, condition, mid, out;
  std::vector<EncoderLayer> time, feature;

  static void fields(auto& self, auto&& visit) {
    visit("diffusion_projection", self.step);
    visit("cond_projection", self.condition);
    visit("mid_projection", self.mid);
    visit("output_projection", self.out);
    visit("time_layer.layers", self.time);
    visit("feature_layer.layers", self.feature);
  }

  /// {what goes on, what is summed up at the end}
  [[nodiscard]] std::pair<Tensor, Tensor> operator()(const Tensor& x, const Tensor& side, const Tensor& e) const {
    const std::vector<int> other = {0, 2, 1, 3};
    const std::int64_t width = x.dim(3);
    const Tensor h = along_rows(time, x + reshape(step(e), {x.dim(0), 1, 1, width}));
    const auto halves = [&](const Tensor& t) { return split(t, 3, {width, width}); };
    const Tensors gates = halves(mid(permute(along_rows(feature, permute(h, other)), other)) + condition(side)),
                  y = halves(out(sigmoid(gates[0]) * tanh(gates[1])));
    return {(x + y[0]) / std::sqrt(2.0), y[1]};
  }
};

struct Csdi {
  Tensor variables;  ///< (variables, width): rows that belong into z, which is made outside
  Linear step1, step2, input, output1, output2;
  std::vector<Residual> residual;
  std::string defaults, part;

  static void fields(auto& self, auto&& visit) {
    visit("embed_layer.weight", self.variables, Layout::plain, true);
    visit("diffmodel.diffusion_embedding.projection1", self.step1);
    visit("diffmodel.diffusion_embedding.projection2", self.step2);
    visit("diffmodel.input_projection", self.input);
    visit("diffmodel.residual_layers", self.residual);
    visit("diffmodel.output_projection1", self.output1);
    visit("diffmodel.output_projection2", self.output2);
  }

  [[nodiscard]] std::vector<std::string> parts() const {
    return input.weight.dim(0) == 2 ? std::vector<std::string>{"denoise"} : std::vector<std::string>();
  }
  [[nodiscard]] std::int64_t side() const { return residual.front().condition.weight.dim(0); }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    if (part.empty()) return evaluate(in);
    const auto observed = in.extra.find("observed");
    require(in.z.defined() && observed != in.extra.end() && observed->second.shape() == in.x.shape(),
            "csdi: its part denoise wants z, and observed of the shape of x, {}", in.x.shape());
    const Tensor mask = slice(in.z, 3, side() - 1, 1);
    Inputs both = in;
    both.x = concat({mask * observed->second, in.x - mask * in.x}, 3);
    return evaluate(both);
  }

  [[nodiscard]] Tensor evaluate(const Inputs& in) const {
    const Shape& x = in.x.shape();
    require(x.rank() == 4 && x[3] == input.weight.dim(0), "csdi: wants x (n, variables, times, {}), got {}",
            input.weight.dim(0), x);
    require(in.z.defined() && in.z.shape() == x.with(-1, side()), "csdi: wants z {}, got {}", x.with(-1, side()),
            in.z.defined() ? to_string(in.z.shape()) : "none");
    const Tensor waves = step_waves(per_row("times", in.t, x[0]), step1.weight.dim(0), in.x.kind());
    const Tensor e = silu(step2(silu(step1(waves))));
    Tensor h = relu(input(in.x)), sum;
    for (const auto& layer : residual) {
      const auto [next, skip] = layer(h, in.z, e);
      h = next;
      sum = sum.defined() ? sum + skip : skip;
    }
    return output2(relu(output1(sum / std::sqrt(static_cast<double>(residual.size())))));
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    const std::int64_t rows = variables.defined() ? variables.dim(0) : 0;
    s.input = {rows, 0, part.empty() ? input.weight.dim(0) : 1};
    s.out_channels = output2.weight.dim(1);
    s.z = {rows, 0, side()};
    if (!part.empty()) s.extra = {{.name = "observed", .shape = s.input}};
    s.summary = fmt::format("{} residual layers with attention along times and variables, width {}", residual.size(),
                            input.weight.dim(1));
    s.defaults = defaults;
    return s;
  }
};

std::string defaults_of(const Config& c) {
  const std::string kind = c.choice("schedule", "quad", {"quad", "linear"});
  return nlohmann::json{{"prediction", "epsilon"},
                        {"schedule",
                         {{"type", "ddpm"},
                          {"beta_schedule", kind},
                          {"beta_start", c.number("beta_start", 1e-4)},
                          {"beta_end", c.number("beta_end", 0.5)},
                          {"num_train_timesteps", size_from(c, "num_steps", 50, 2)}}}}
      .dump();
}

Csdi make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config, "train diffusion model");
  const Config d = config.object("diffusion");
  refuse_unknown(d, "layers channels nheads diffusion_embedding_dim beta_start beta_end num_steps is_linear side_dim");
  refuse_unknown(config.object("model"), "is_unconditional timeemb featureemb target_strategy num_sample_features");
  if (d.flag("is_linear", false)) d.unsupported("is_linear", "supported: false");
  const std::int64_t heads = size_from(d, "nheads", 8);
  const auto linear = [&](const std::string& key) { return linear_of(keys, "diffmodel." + key); };
  Csdi m;
  if (keys.count("embed_layer.weight") != 0) m.variables = parameter(shape_of(keys, "embed_layer.weight", 2));
  m.step1 = linear("diffusion_embedding.projection1");
  m.step2 = linear("diffusion_embedding.projection2");
  m.input = linear("input_projection");
  m.output1 = linear("output_projection1");
  m.output2 = linear("output_projection2");
  for (std::int64_t i = 0; i < count_of(keys, "diffmodel.residual_layers"); ++i) {
    const std::string at = fmt::format("residual_layers.{}.", i);
    m.residual.push_back({linear(at + "diffusion_projection"), linear(at + "cond_projection"),
                          linear(at + "mid_projection"), linear(at + "output_projection"),
                          encoder_layers_of(keys, "diffmodel." + at + "time_layer.layers", heads),
                          encoder_layers_of(keys, "diffmodel." + at + "feature_layer.layers", heads)});
  }
  require(!m.residual.empty(), "csdi: there are no layers diffmodel.residual_layers.N");
  confirm(d, "layers", static_cast<std::int64_t>(m.residual.size()));
  confirm(d, "channels", m.input.weight.dim(1));
  confirm(d, "diffusion_embedding_dim", m.step1.weight.dim(0));
  confirm(d, "side_dim", m.side());
  m.defaults = defaults_of(d);
  return m;
}

}  // namespace

Family csdi_family() {
  return {"csdi", "CSDI: imputation of time series by attention along time and along variables",
          by_keys({"diffmodel.residual_layers.0.diffusion_projection.weight"}), network_by(make)};
}

}  // namespace costate
