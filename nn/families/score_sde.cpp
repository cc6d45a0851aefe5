// Family score_sde: the DDPM, DDPM++ and NCSN++ of "Score-Based Generative Modeling through SDEs" (Song et al. 2021),
// as yang-song/score_sde_pytorch keeps them: parts numbered in `all_modules`, with numbers for those without weights.
#include <nlohmann/json.hpp>

#include <memory>
#include <numbers>

#include "nn/family.h"
#include "nn/sizes.h"
#include "nn/unet_model.h"

namespace costate {
namespace {

constexpr double norm_eps = 1e-6;
using ImageIn = UNetPlan::ImageIn;
using ImageOut = UNetPlan::ImageOut;

/// What the configuration's objects `model`, `data` and `training` say.
struct Said {
  Config model, data, training;
  bool ddpm = false;    ///< models/ddpm.py, not models/ncsnpp.py
  bool biggan = false;  ///< kind of residual block
  bool fir = false, conv = true, rescale = false, fourier = false, conditional = true;
  Filter filter = ncsnpp_filter();

  explicit Said(const Config& c) : model(c.object("model")), data(c.object("data")), training(c.object("training")) {
    ddpm = model.choice("name", "ncsnpp", {"ncsnpp", "ddpm"}) == "ddpm";
    static_cast<void>(model.choice("normalization", "GroupNorm", {"GroupNorm"}));
    conv = model.flag("resamp_with_conv", true);
    conditional = model.flag("conditional", true);
    if (ddpm && !conditional) model.unsupported("conditional", "the ddpm network is told the time");
    if (ddpm) return;
    biggan = model.choice("resblock_type", "biggan", {"biggan", "ddpm"}) == "biggan";
    fir = model.flag("fir", false);
    if (const auto taps = model.integers("fir_kernel"); !taps.empty())
      filter = make_filter(model.where() + ": fir_kernel", taps);
    rescale = model.flag("skip_rescale", true);
    fourier = model.choice("embedding_type", "fourier", {"fourier", "positional"}) == "fourier";
    const bool resamples = model.integers("ch_mult").size() != 1;
    if (model.choice("progressive", "none", {"none", "output_skip", "residual"}) == "residual" && fir && resamples)
      model.unsupported("progressive", "with fir its authors' code cannot run");
    if (!biggan && fir && conv && resamples)
      model.unsupported("resamp_with_conv", "ddpm blocks with fir want false: its authors' code cannot run otherwise");
  }
  [[nodiscard]] std::int64_t groups(std::int64_t c) const { return ddpm ? 32 : std::min<std::int64_t>(c / 4, 32); }
  [[nodiscard]] double divisor() const { return rescale ? std::numbers::sqrt2 : 1; }
  [[nodiscard]] Activation activation() const {
    return activation_from(model, "nonlinearity", {"swish", "elu", "relu", "lrelu"});
  }
};

/// The parts by number, counted in the order of execution; `first` is the number of conv_in.
std::function<std::string(UNetPart, std::int64_t, std::int64_t)> numbered(const Said& said, const UNetPlan& p,
                                                                          std::int64_t first) {
  const auto next = std::make_shared<std::int64_t>(first);
  const std::string conv = said.fir ? ".Conv2d_0" : ".Conv_0";
  const bool resample_conv = p.change != UNetPlan::Change::block;
  const std::string image_in = p.image_in == ImageIn::residual ? conv : ".Conv_0";
  const bool grows = p.image_out == ImageOut::residual;
  return [=, levels = static_cast<std::int64_t>(p.channels.size())](UNetPart part, std::int64_t level, std::int64_t) {
    const std::string base = fmt::format("all_modules.{}", (*next)++);
    if (part == UNetPart::image_in) return base + image_in;
    if (part == UNetPart::image_conv && grows && level + 1 < levels) return base + ".Conv_0";
    return (part == UNetPart::down || part == UNetPart::up) && resample_conv ? base + conv : base;
  };
}

void read_pyramids(const Said& said, UNetPlan& p) {
  if (said.ddpm) return;
  const std::string in = said.model.choice("progressive_input", "none", {"none", "input_skip", "residual"});
  const bool cat = said.model.choice("progressive_combine", "sum", {"sum", "cat"}) == "cat";
  p.image_down = p.down;
  p.image_up = p.up;
  if (in == "input_skip") p.image_in = cat ? ImageIn::cat : ImageIn::sum;
  if (in == "residual") {
    p.image_in = ImageIn::residual;
    p.image_down = said.fir ? Resampling::fir_blur : Resampling::none;
  }
  p.image_divisor = said.divisor();
  const std::string out = said.model.text("progressive", "none");
  p.image_out = out == "output_skip" ? ImageOut::sum : out == "residual" ? ImageOut::residual : ImageOut::none;
}

UNetPlan plan_of(const Said& said) {
  UNetPlan p;
  p.in_channels = p.out_channels = size_from(said.data, "num_channels", 3);
  p.first = size_from(said.model, "nf", 128, 4);
  for (const auto m : sizes_from(said.model, "ch_mult", {1, 2, 2, 2})) p.channels.push_back(p.first * m);
  p.blocks = count_from(said.model, "num_res_blocks", 2);
  p.up_blocks = p.blocks + 1;
  p.attention = UNetPlan::at_resolutions(said.model.integers("attn_resolutions"), said.data.integer("image_size", 32),
                                         p.channels.size());
  p.attention_each_up = false;
  p.down = said.fir ? Resampling::fir_down : Resampling::mean_down;
  p.up = said.fir ? Resampling::fir_up : Resampling::nearest_up;
  p.change = said.biggan ? UNetPlan::Change::block : said.conv ? UNetPlan::Change::conv : UNetPlan::Change::resampling;
  p.padded_down = false;
  p.filter = said.filter;
  p.activation = said.activation();
  p.eps = norm_eps;
  p.groups = [said](std::int64_t c) { return said.groups(c); };
  p.block = [said, time = 4 * p.first](std::int64_t in, std::int64_t out) {
    return ResBlockPlan{
        .in = in,
        .out = out,
        .time = time,
        .groups = said.groups(in),
        .groups_out = said.groups(out),
        .eps = norm_eps,
        .activation = said.activation(),
        .divisor = said.divisor(),
        .project = said.biggan,
        .nin = !said.biggan,
        .names = {"GroupNorm_0", "Conv_0", "Dense_0", "", "GroupNorm_1", "Conv_1", said.biggan ? "Conv_2" : "NIN_0"}};
  };
  p.attend = [said](std::int64_t c, bool) {
    return AttentionPlan{.channels = c,
                         .heads = 1,
                         .head_width = c,
                         .norm = GroupNorm(c, said.groups(c), norm_eps),
                         .divisor = said.divisor(),
                         .nin = true,
                         .names = {.norm = "GroupNorm_0", .qkv = {"NIN_0", "NIN_1", "NIN_2"}, .out = "NIN_3"}};
  };
  read_pyramids(said, p);
  return p;
}

/// The SDE it was trained with. VP networks are told 999 t, those of discrete steps the number of one; VE networks return the score
/// and are told sigma, or the number of a level of a geometric sequence, 0 the noisiest.
std::string defaults_of(const Said& said) {
  using nlohmann::json;
  const std::string sde = said.training.choice("sde", said.fourier ? "vesde" : "vpsde", {"vesde", "vpsde", "subvpsde"});
  const bool ve = sde == "vesde", numbered = !said.training.flag("continuous", true);
  const auto last = static_cast<double>(size_from(said.model, "num_scales", 1000) - 1);
  json schedule, sampling = {{"range", {said.data.flag("centered", false) ? -1 : 0, 1}}};
  if (ve) {
    schedule = {{"type", numbered ? "ve" : "edm"},
                {"sigma_min", said.model.number("sigma_min", 0.01)},
                {"sigma_max", said.model.number("sigma_max", 50)}};
    if (numbered) sampling.update({{"time_scale", -last}, {"time_offset", last}});
  } else {
    schedule = {{"type", sde == "vpsde" ? "vp_linear" : "sub_vp"},
                {"beta_min", said.model.number("beta_min", 0.1)},
                {"beta_max", said.model.number("beta_max", 20)}};
    sampling["time_scale"] = numbered && sde == "vpsde" ? last : 999;  // sub-VP networks are never numbered
  }
  return json{{"prediction", ve ? "score" : "epsilon"}, {"schedule", schedule}, {"sampling", sampling}}.dump();
}

UNetModel make(const Config& config) {
  refuse_unknown(config, "model data training sampling eval optim seed device");
  const Said said(config);
  refuse_unknown(said.model,
                 "name scale_by_sigma ema_rate normalization nonlinearity nf ch_mult num_res_blocks attn_resolutions "
                 "resamp_with_conv conditional fir fir_kernel skip_rescale resblock_type progressive "
                 "progressive_input progressive_combine attention_type embedding_type init_scale fourier_scale "
                 "conv_size dropout sigma_min sigma_max num_scales beta_min beta_max");
  UNetPlan plan = plan_of(said);
  const std::int64_t nf = plan.first, width = said.fourier ? 2 * nf : nf;
  UNetEmbedding e;
  std::int64_t number = 0;
  e.projection = {.width = width, .cos_first = false, .freq_shift = 1, .weight = {}};
  if (said.fourier) {
    e.projection.kind = TimeProjection::Kind::fourier;
    e.projection.weight = parameter({nf});
    e.projection.key = "W";
    e.projection_key = fmt::format("all_modules.{}", number++);
  }
  if (said.conditional) {
    e.linear_1.emplace(width, 4 * nf);
    e.linear_2.emplace(4 * nf, 4 * nf);
    e.key_1 = fmt::format("all_modules.{}", number++);
    e.key_2 = fmt::format("all_modules.{}", number++);
    e.between = e.last = said.activation();
  }
  plan.key = numbered(said, plan, number);
  UNetModel m = make_unet_model(std::move(e), std::move(plan), said.data.integer("image_size", 32), defaults_of(said));
  m.centre = !said.data.flag("centered", false);
  m.sigmas = parameter({size_from(said.model, "num_scales", 1000)});
  if (said.model.flag("scale_by_sigma", !said.ddpm))
    m.divide = said.fourier ? UNetModel::Divide::time : UNetModel::Divide::table;
  return m;
}

}  // namespace

Family score_sde_family() {
  return {"score_sde",
          "DDPM, DDPM++ and NCSN++ of score_sde_pytorch",
          [](const Config&, const KeyShapes& keys) -> std::string {
            const bool numbered = keys.count("all_modules.0.W") + keys.count("all_modules.0.weight") != 0;
            return numbered && keys.count("sigmas") != 0 ? "keys sigmas and all_modules.N" : "";
          },
          network_by(make),
          {"scoresde-ddpm", "scoresde-ddpmpp", "scoresde-ncsnpp"}};
}

}  // namespace costate
