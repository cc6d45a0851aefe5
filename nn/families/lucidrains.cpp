// Family lucidrains: Unet of lucidrains/denoising-diffusion-pytorch, alone or inside its GaussianDiffusion.
//
// z (n, h, w, c) is the self-conditioning image; zeros where it is not given. Which levels attend fully, and the norms
// of earlier releases, are read off the keys.
#include <nlohmann/json.hpp>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/gelu.h"
#include "autodiff/ops/silu.h"
#include "nn/family.h"
#include "nn/lucidrains_blocks.h"
#include "nn/schedule_tables.h"
#include "nn/sizes.h"
#include "nn/time_embedding.h"

namespace costate {
namespace {

struct Lucidrains {
  ScheduleTables schedule;  ///< GaussianDiffusion's buffers; its betas win over the configuration's
  std::string prefix;       ///< of the keys below
  Conv2d init_conv;
  TimeProjection time;
  Linear time_1, time_2;
  std::vector<LucidLevel> downs, ups;
  LucidResBlock mid_block1, mid_block2, final_res_block;
  LucidAttention mid_attn;
  Linear final_conv;
  bool self_condition = false;
  std::int64_t height = 0, width = 0;
  std::string defaults;

  static void fields(auto& self, auto&& visit) {
    visit("", self.schedule);
    const auto named = [&](const char* name) { return join_key(self.prefix, name); };
    visit(named("init_conv").c_str(), self.init_conv);
    visit(named("time_mlp.0").c_str(), self.time);
    visit(named("time_mlp.1").c_str(), self.time_1);
    visit(named("time_mlp.3").c_str(), self.time_2);
    visit(named("downs").c_str(), self.downs);
    visit(named("ups").c_str(), self.ups);
    visit(named("mid_block1").c_str(), self.mid_block1);
    visit(named("mid_attn").c_str(), self.mid_attn);
    visit(named("mid_block2").c_str(), self.mid_block2);
    visit(named("final_res_block").c_str(), self.final_res_block);
    visit(named("final_conv").c_str(), self.final_conv);
  }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t c = channels(), step = std::int64_t{1} << (downs.size() - 1);
    require(in.x.rank() == 4 && in.x.dim(3) == c && in.x.dim(1) % step == 0 && in.x.dim(2) % step == 0,
            "lucidrains: wants x (n, h, w, {}) with h and w divisible by {}, got {}", c, step, in.x.shape());
    require(!in.classes.defined() && (self_condition || !in.z.defined()), "lucidrains: this network takes no {}",
            in.classes.defined() ? "labels" : "self-conditioning image (z)");
    Tensor x = in.x;
    if (self_condition) x = concat({in.z.defined() ? in.z : Tensor::zeros(x.shape(), x.kind()), x}, 3);
    const Tensor e = silu(time_2(gelu(time_1(time(per_row("times", in.t, x.dim(0)), x.kind())))));
    x = init_conv(x);
    Tensors skips{x};
    for (const auto& level : downs) {
      skips.push_back(x = level.block1(x, e));
      x = level.block2(x, e);
      skips.push_back(x = level.attention(x) + x);
      x = level.resize(x);
    }
    x = mid_block1(x, e);
    x = mid_block2(mid_attn(x) + x, e);
    const auto with_skip = [&] {
      const Tensor both = concat({x, skips.back()}, 3);
      skips.pop_back();
      return both;
    };
    for (const auto& level : ups) {
      x = level.block1(with_skip(), e);
      x = level.block2(with_skip(), e);
      x = level.resize(level.attention(x) + x);
    }
    return final_conv(final_res_block(with_skip(), e));
  }

  [[nodiscard]] std::int64_t channels() const { return init_conv.weight.dim(2) / (self_condition ? 2 : 1); }
  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {height, width, channels()};
    s.out_channels = final_conv.weight.dim(1);
    if (self_condition) s.z = s.input;
    s.needs_condition = false;
    s.summary = fmt::format("U-Net, {} levels, {} channels in the first", downs.size(), init_conv.weight.dim(3));
    nlohmann::json said = nlohmann::json::parse(defaults);
    if (const auto betas = schedule.values("betas"); !betas.empty())
      said["schedule"] = {{"type", "ddpm"}, {"betas", betas}};
    s.defaults = said.dump();
    return s;
  }
};

TimeProjection time_of(const Config& c, std::int64_t dim) {
  if (!c.flag("learned_sinusoidal_cond", false) && !c.flag("random_fourier_features", false))
    return {.width = dim,
            .cos_first = false,
            .freq_shift = 1,
            .theta = c.number("sinusoidal_pos_emb_theta", 10000),
            .weight = {}};
  const std::int64_t width = size_from(c, "learned_sinusoidal_dim", 16, 2);
  return {.kind = TimeProjection::Kind::fourier,
          .width = width + 1,
          .cos_first = false,
          .of_log = false,
          .with_time = true,
          .weight = parameter({width / 2}),
          .key = "weights"};
}

void build_levels(const Config& c, const LucidKeys& seen, Lucidrains& m, const std::vector<std::int64_t>& dims,
                  std::int64_t time) {
  const std::size_t n = dims.size() - 1;
  const auto heads = sizes_each_level(c, "attn_heads", 4, n), widths = sizes_each_level(c, "attn_dim_head", 32, n);
  const bool groups = seen.groups();
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t in = dims[i], out = dims[i + 1];
    LucidLevel down;
    down.block1 = down.block2 = {in, in, time, groups};
    down.attention = seen.attention(fmt::format("downs.{}.2", i), in, heads[i], widths[i], i + 1 < n);
    if (i + 1 < n)
      down.linear.emplace(4 * in, out, Layout::either);
    else
      down.conv.emplace(in, out, 3);
    m.downs.push_back(down);
  }
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t i = n - 1 - k;
    const std::int64_t in = dims[i], out = dims[i + 1];
    LucidLevel up;
    up.block1 = up.block2 = {out + in, out, time, groups};
    up.attention = seen.attention(fmt::format("ups.{}.2", k), out, heads[i], widths[i], i + 1 < n);
    up.conv.emplace(out, in, 3);
    up.doubles = k + 1 < n;
    m.ups.push_back(up);
  }
  m.mid_attn = seen.attention("mid_attn", dims.back(), heads.back(), widths.back(), false);
}

std::string defaults_of(const Config& c) {
  using nlohmann::json;
  const std::string objective = c.choice("objective", "pred_v", {"pred_v", "pred_noise", "pred_x0"});
  const auto steps = size_from(c, "timesteps", 1000, 2);
  json schedule = {{"type", "ddpm"}, {"num_train_timesteps", steps}};
  const std::string kind = c.choice("beta_schedule", "sigmoid", {"sigmoid", "cosine", "linear"});
  if (kind == "linear") {
    schedule["beta_start"] = 0.1 / static_cast<double>(steps);
    schedule["beta_end"] = 20.0 / static_cast<double>(steps);
  } else if (kind == "cosine") {
    schedule["beta_schedule"] = "squaredcos_cap_v2";
  } else {
    schedule["betas"] = sigmoid_betas(steps);
  }
  const bool unit = c.flag("auto_normalize", true);
  return json{{"prediction", objective == "pred_v"       ? "v_prediction"
                             : objective == "pred_noise" ? "epsilon"
                                                         : "sample"},
              {"schedule", schedule},
              {"sampling", {{"range", {unit ? -1 : 0, 1}}}}}
      .dump();
}

Lucidrains make(const Config& c, const KeyShapes& keys) {
  refuse_unknown(c,
                 "dim init_dim out_dim dim_mults channels self_condition learned_variance learned_sinusoidal_cond "
                 "random_fourier_features learned_sinusoidal_dim sinusoidal_pos_emb_theta dropout attn_dim_head "
                 "attn_heads full_attn flash_attn image_size timesteps objective beta_schedule auto_normalize");
  Lucidrains m;
  m.prefix = keys.count("model.init_conv.weight") != 0 ? "model" : "";
  m.schedule = schedule_tables_of(keys, m.prefix);
  const LucidKeys seen{keys, m.prefix};
  const std::int64_t dim = size_from(c, "dim", 0, 4), first = size_from(c, "init_dim", dim), time = 4 * dim;
  m.self_condition = c.flag("self_condition", false);
  const std::int64_t channels = size_from(c, "channels", 3);
  m.init_conv = Conv2d(channels * (m.self_condition ? 2 : 1), first, 7);
  std::vector<std::int64_t> dims{first};
  for (const auto k : sizes_from(c, "dim_mults", {1, 2, 4, 8})) dims.push_back(dim * k);
  m.time = time_of(c, dim);
  m.time_1 = Linear(m.time.width, time);
  m.time_2 = Linear(time, time);
  build_levels(c, seen, m, dims, time);
  m.mid_block1 = m.mid_block2 = LucidResBlock(dims.back(), dims.back(), time, seen.groups());
  m.final_res_block = LucidResBlock(2 * first, first, time, seen.groups());
  m.final_conv =
      Linear(first, size_from(c, "out_dim", channels * (c.flag("learned_variance", false) ? 2 : 1)), Layout::either);
  std::tie(m.height, m.width) = sides_from(c, "image_size", {m.height, m.width});
  m.defaults = defaults_of(c);
  return m;
}

}  // namespace

Family lucidrains_family() {
  return {"lucidrains", "Unet of lucidrains' denoising-diffusion-pytorch",
          by_keys({"init_conv.weight", "time_mlp.1.weight", "downs.0.0.block1.proj.weight"}, {"", "model."}),
          network_by(make)};
}

}  // namespace costate
