// Family film_cnn: two chains of convolutions with a scale and a shift by the time between them, for channels of antennas
// (github benediktfesl/Diffusion_channel_est, CNN).
//
// x = pre(x); x = x + scale x + shift; y = post(x). ReLU between the convolutions of a chain, none at its ends; some have batch
// norms before it. Files of the whole model also hold the tables of the schedule.
#include <nlohmann/json.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/split.h"
#include "nn/from_keys.h"
#include "nn/schedule_tables.h"
#include "nn/sizes.h"
#include "nn/time_embedding.h"

namespace costate {
namespace {

struct Layer {
  Conv2d conv;
  std::optional<BatchNorm> norm;  ///< after it, before the activation
};

/// Keys are numbered from 0 for convolutions, from 1 for what follows them.
struct Chain {
  std::vector<Layer> layers;
  std::string name;  ///< "pre" or "post"

  static void fields(auto& self, auto&& visit) {
    for (std::size_t i = 0; i < self.layers.size(); ++i) {
      visit(fmt::format("conv_{}{}", self.name, i).c_str(), self.layers[i].conv);
      visit(fmt::format("batchnorm_{}{}", self.name, i + 1).c_str(), self.layers[i].norm);
    }
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    Tensor h = x;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      h = layers[i].conv(h);
      if (layers[i].norm) h = (*layers[i].norm)(h);
      if (i + 1 < layers.size()) h = relu(h);
    }
    return h;
  }
};

struct FilmCnn {
  ScheduleTables tables;
  std::vector<Linear> time;  ///< with ReLU between; none: the sinusoids themselves
  std::int64_t time_width = 0;
  Chain pre, post;
  std::int64_t height = 0, width = 0;  ///< the usual size; any other works
  std::string prefix, defaults;        ///< defaults: where the file has no tables

  static void fields(auto& self, auto&& visit) {
    const auto under = [&](const std::string& name, auto& member) {
      visit(join_key(self.prefix, name).c_str(), member);
    };
    visit("", self.tables);
    for (std::size_t i = 0; i < self.time.size(); ++i)
      under(fmt::format("time_mlp.time_linear{}", i + 1), self.time[i]);
    under("cnn_pre", self.pre);
    under("cnn_post", self.post);
  }

  [[nodiscard]] std::int64_t channels() const { return pre.layers.front().conv.weight.dim(2); }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    require(in.x.rank() == 4 && in.x.dim(3) == channels(), "film_cnn: wants x (n, h, w, {}), got {}", channels(),
            in.x.shape());
    require(!in.classes.defined() && !in.z.defined(), "film_cnn: takes no condition");
    const std::int64_t n = in.x.dim(0);
    Tensor e = sinusoids(per_row("times", in.t, n), time_width, false, 1, in.x.kind());
    for (std::size_t i = 0; i < time.size(); ++i) e = time[i](i == 0 ? e : relu(e));
    const Tensor h = pre(in.x);
    const std::int64_t c = h.dim(3);
    const Tensors both = split(reshape(e, {n, 1, 1, 2 * c}), 3, {c, c});
    return post(h + both[0] * h + both[1]);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {height, width, channels()};
    s.out_channels = post.layers.back().conv.weight.dim(3);
    s.summary = fmt::format("{} and {} convolutions, scaled and shifted by the time between", pre.layers.size(),
                            post.layers.size());
    const std::vector<double> betas = tables.values("betas");
    s.defaults =
        betas.empty()
            ? defaults
            : nlohmann::json{{"prediction", "epsilon"}, {"schedule", {{"type", "ddpm"}, {"betas", betas}}}}.dump();
    return s;
  }
};

Chain chain_of(const KeyShapes& keys, const std::string& prefix, const std::string& name) {
  Chain chain{.layers = {}, .name = name};
  const std::string at = prefix + "cnn_" + name + ".";
  for (std::int64_t i = 0; keys.count(fmt::format("{}conv_{}{}.weight", at, name, i)) != 0; ++i) {
    const std::string conv = fmt::format("{}conv_{}{}", at, name, i),
                      norm = fmt::format("{}batchnorm_{}{}", at, name, i + 1);
    const Shape w = shape_of(keys, conv + ".weight", 4);
    chain.layers.push_back({conv_of(keys, conv, same_padding(w[2], w[3])), {}});
    if (keys.count(norm + ".weight") != 0) chain.layers.back().norm = batch_norm_of(keys, norm);
  }
  require(!chain.layers.empty(), "film_cnn: there are no convolutions {}conv_{}N", at, name);
  return chain;
}

/// The authors' sim_params.json, or its unet_dict and diff_model_dict in one.
struct Options {
  Config network, diffusion;

  explicit Options(const Config& config) {
    const bool nested = config.has("unet_dict");
    network = nested ? config.object("unet_dict") : config;
    diffusion = nested ? config.object("diff_model_dict") : config;
    if (nested) {
      refuse_unknown(config, "data_dict diff_model_dict unet_dict trainer_dict tester_dict misc_dict");
      refuse_unknown(diffusion, diffusion_keys);
      refuse_unknown(network, network_keys);
    } else {
      refuse_unknown(config, network_keys + diffusion_keys);
    }
  }

  inline static const std::string network_keys =
      "data_shape n_layers_pre n_layers_post ch_layers_pre ch_layers_post n_layers_time ch_init_time kernel_size mode "
      "batch_norm downsamp_fac stride padding_mode device ";
  inline static const std::string diffusion_keys =
      "data_shape complex_data loss_type which_schedule num_timesteps beta_start beta_end objective loss_weighting "
      "clipping reverse_method reverse_add_random ";
};

std::string defaults_of(const Config& c) {
  static_cast<void>(c.choice("which_schedule", "linear", {"linear"}));
  static_cast<void>(c.choice("objective", "pred_noise", {"pred_noise"}));
  return nlohmann::json{{"prediction", "epsilon"},
                        {"schedule",
                         {{"type", "ddpm"},
                          {"num_train_timesteps", size_from(c, "num_timesteps", 100, 2)},
                          {"beta_start", c.number("beta_start", 1e-4)},
                          {"beta_end", c.number("beta_end", 0.1)}}}}
      .dump();
}

FilmCnn make(const Config& config, const KeyShapes& keys) {
  const Options options(config);
  static_cast<void>(options.network.choice("mode", "2D", {"2D"}));
  if (size_from(options.network, "stride", 1) != 1) options.network.unsupported("stride", "supported: 1");
  FilmCnn m;
  m.prefix = keys.count("model.cnn_pre.conv_pre0.weight") != 0 ? "model" : "";
  const std::string prefix = m.prefix.empty() ? "" : m.prefix + ".";
  m.tables = schedule_tables_of(keys, m.prefix);
  m.pre = chain_of(keys, prefix, "pre");
  m.post = chain_of(keys, prefix, "post");
  for (std::string at = prefix + "time_mlp.time_linear1"; keys.count(at + ".weight") != 0;
       at = fmt::format("{}time_mlp.time_linear{}", prefix, m.time.size() + 1))
    m.time.push_back(linear_of(keys, at));
  const std::int64_t inner = m.pre.layers.back().conv.weight.dim(3);
  m.time_width = m.time.empty() ? 2 * inner : m.time.front().weight.dim(0);
  if (!m.time.empty())
    require(m.time.back().weight.dim(1) == 2 * inner,
            "film_cnn: {}time_mlp ends in {} numbers, a scale and a shift of {} channels are {}", prefix,
            m.time.back().weight.dim(1), inner, 2 * inner);
  if (const auto size = options.network.integers("data_shape"); size.size() == 3) m.height = size[1], m.width = size[2];
  confirm(options.network, "n_layers_time", static_cast<std::int64_t>(m.time.size()));
  confirm(options.network, "n_layers_pre", static_cast<std::int64_t>(m.pre.layers.size()));
  confirm(options.network, "n_layers_post", static_cast<std::int64_t>(m.post.layers.size()));
  if (!m.time.empty()) confirm(options.network, "ch_init_time", m.time_width);
  m.defaults = defaults_of(options.diffusion);
  return m;
}

}  // namespace

Family film_cnn_family() {
  return {"film_cnn", "convolutions, a scale and a shift by the time, convolutions; structure read off the keys",
          by_keys({"cnn_pre.conv_pre0.weight", "cnn_post.conv_post0.weight"}, {"", "model."}), network_by(make)};
}

}  // namespace costate
