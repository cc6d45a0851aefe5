// What a configuration says besides the network - noise levels, what the network returns, the times it is told - against what its
// authors' code does with the same options.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numbers>

#include "nn/family.h"
#include "solvers/denoiser.h"
#include "solvers/schedule.h"
#include "tests/support/paths.h"

namespace {

using namespace costate;
using nlohmann::json;
using Values = std::vector<double>;

const json& references() {
  static const json all = [] {
    std::ifstream file(source_dir() / "tests/data/flag-references.json");
    return json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
  }();
  return all;
}

/// What the network of a reference says of itself, with other options and with tables that its file would hold, beside the network
/// below `prefix`.
json said(const std::string& reference, const json& options, const std::map<std::string, Values>& tables = {},
          const std::string& prefix = "") {
  json settings = references().at(reference).at("config");
  settings.merge_patch(options);
  KeyShapes keys;
  if (references()[reference].contains("keys"))
    for (const auto& [key, shape] : references()[reference]["keys"].items()) {
      const auto extents = shape.get<std::vector<std::int64_t>>();
      keys[prefix + key] = Shape(extents);
    }
  for (const auto& [key, values] : tables) keys[key] = {static_cast<std::int64_t>(values.size())};
  std::string reason;
  const Config config(settings, "config.json");
  auto network = find_family(config, keys, reason).make(config, keys);
  Tensors loaded;
  for (const auto& p : network->parameters()) {
    const auto table = tables.find(p.key);
    loaded.push_back(table == tables.end() ? p.value : Tensor::from(table->second, p.value.shape()));
  }
  return json::parse(network->with(loaded)->signature().defaults);
}

SchedulePtr schedule_of(const json& defaults) { return schedule_from(Config(defaults.at("schedule"), "schedule")); }

/// The levels of a discrete schedule against the betas it is made of.
void check_betas(const json& defaults, const Values& betas) {
  const SchedulePtr schedule = schedule_of(defaults);
  BOOST_TEST_REQUIRE(schedule->steps() == static_cast<int>(betas.size()));
  double alpha_bar = 1, worst = 0;
  for (std::size_t i = 0; i < betas.size(); ++i) {
    alpha_bar *= 1 - betas[i];
    const double alpha = schedule->alpha(static_cast<double>(i));
    worst = std::max(worst, std::abs(alpha * alpha - alpha_bar));
  }
  BOOST_TEST(worst <= 1e-12);
}

Values linear(double from, double to, std::size_t n) {
  Values v;
  for (std::size_t i = 0; i < n; ++i)
    v.push_back(from + (to - from) * static_cast<double>(i) / static_cast<double>(n - 1));
  return v;
}

Values mapped(Values v, const std::function<double(double)>& f) {
  for (double& each : v) each = f(each);
  return v;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// betas of an alpha-bar over [0, 1], none above 0.999.
Values betas_of(const std::function<double(double)>& bar, int n) {
  Values v;
  for (int i = 0; i < n; ++i) v.push_back(std::min(0.999, 1 - bar((i + 1.0) / n) / bar(static_cast<double>(i) / n)));
  return v;
}

double cosine_bar(double t) { return std::pow(std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2), 2); }

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_defaults)

BOOST_AUTO_TEST_CASE(guided_diffusion) {
  for (const std::string reference : {"adm-updown", "classifier-spatial", "diffae-uneven"}) {
    json d = said(reference, json::object());
    check_betas(d, linear(1e-4, 0.02, 1000));
    BOOST_TEST(d["prediction"] == "epsilon");
    BOOST_TEST(d["sampling"]["time_scale"] == 1);
    d = said(reference, {{"diffusion_steps", 250}, {"rescale_timesteps", true}, {"predict_xstart", true}});
    check_betas(d, linear(4e-4, 0.08, 250));
    BOOST_TEST(d["prediction"] == "sample");
    BOOST_TEST(d["sampling"]["time_scale"] == 4);  // always 0 to 1000
    check_betas(said(reference, {{"diffusion_steps", 40}, {"noise_schedule", "cosine"}}), betas_of(cosine_bar, 40));
  }
}

BOOST_AUTO_TEST_CASE(ho) {
  const auto with = [](const std::string& kind) {
    return said(
        "ho-pool",
        {{"diffusion",
          {{"beta_schedule", kind}, {"beta_start", 1e-3}, {"beta_end", 0.2}, {"num_diffusion_timesteps", 30}}}});
  };
  check_betas(said("ho-pool", json::object()), linear(1e-4, 0.02, 1000));
  check_betas(with("linear"), linear(1e-3, 0.2, 30));
  check_betas(with("quad"), mapped(linear(std::sqrt(1e-3), std::sqrt(0.2), 30), [](double b) { return b * b; }));
  check_betas(with("const"), Values(30, 0.2));
  check_betas(with("sigmoid"), mapped(linear(-6, 6, 30), [](double x) { return 1e-3 + 0.199 * sigmoid(x); }));
  check_betas(with("jsd"), mapped(linear(30, 1, 30), [](double n) { return 1 / n; }));  // the last leaves no signal
}

BOOST_AUTO_TEST_CASE(lucidrains) {
  const auto bar = [](double t) { return sigmoid(3) - sigmoid(6 * t - 3); };
  json d = said("lucidrains-theta", json::object());
  check_betas(d, betas_of(bar, 1000));
  BOOST_TEST(d["prediction"] == "v_prediction");
  BOOST_TEST(d["sampling"]["range"] == json({-1, 1}));
  d = said("lucidrains-theta",
           {{"beta_schedule", "linear"}, {"timesteps", 500}, {"objective", "pred_noise"}, {"auto_normalize", false}});
  check_betas(d, linear(2e-4, 0.04, 500));
  BOOST_TEST(d["prediction"] == "epsilon");
  BOOST_TEST(d["sampling"]["range"] == json({0, 1}));
  d = said("lucidrains-theta", {{"beta_schedule", "cosine"}, {"timesteps", 50}, {"objective", "pred_x0"}});
  check_betas(d, betas_of(cosine_bar, 50));
  BOOST_TEST(d["prediction"] == "sample");
  const Values own = linear(0.01, 0.3, 20);  // a file of the whole GaussianDiffusion knows better
  check_betas(said("lucidrains-theta", {{"timesteps", 500}}, {{"betas", own}}, "model."), own);
}

BOOST_AUTO_TEST_CASE(smalldiffusion) {
  constexpr double sigma = 3, x = 0.7, y = -0.4, root = 1 / 3.1622776601683795;  // of alpha(sigma) = 1 / (1 + sigma^2)
  const auto eps = [&](const json& options) {  // of points at x where the network returns y
    const json d = said("small-condmlp", options);
    const Denoiser denoiser{
        [](const Tensor& at, const Level&, const Tensors&) { return Tensor::full(at.shape(), y, at.kind()); },
        prediction_from(d["prediction"]), DType::f64};
    const SchedulePtr schedule = schedule_of(d);
    BOOST_TEST(schedule->t_min == 0.005);
    BOOST_TEST(schedule->t_max == 35);
    return denoiser.eps(Tensor::full({1, 2}, x, {DType::f64}), schedule->level(sigma), {}).to_vector()[0];
  };
  BOOST_TEST(eps(json::object()) == y);
  BOOST_TEST(std::abs(eps({{"PredX0", true}}) - (x - y) / sigma) <= 1e-14);
  BOOST_TEST(std::abs(eps({{"PredV", true}}) - root * (y + std::sqrt(1 - root * root) * x)) <= 1e-14);
  for (const std::string reference : {"small-condmlp", "small-unet", "small-dit"}) {
    const json d = said(reference, {{"PredFlow", true}});
    BOOST_TEST(d["prediction"] == "flow");
    const Level at = schedule_of(d)->level(0.3);
    BOOST_TEST(std::abs(at.alpha - 0.7) <= 1e-15);
    BOOST_TEST(std::abs(at.sigma - 0.3) <= 1e-15);
  }
}

BOOST_AUTO_TEST_CASE(score_sde) {
  const auto with = [](const json& training, const json& model = json::object(), bool centered = true) {
    return said("sde-ddpm-blocks", {{"training", training}, {"model", model}, {"data", {{"centered", centered}}}});
  };
  const json betas = {{"beta_min", 0.2}, {"beta_max", 10}, {"num_scales", 200}};
  const double alpha = std::exp(-0.25 * 0.6 * 0.6 * 9.8 - 0.5 * 0.6 * 0.2);  // at t = 0.6
  json d = with({{"sde", "vpsde"}, {"continuous", true}}, betas);
  BOOST_TEST(d["prediction"] == "epsilon");
  BOOST_TEST(d["sampling"]["time_scale"] == 999);
  BOOST_TEST(d["sampling"]["range"] == json({-1, 1}));
  BOOST_TEST(std::abs(schedule_of(d)->alpha(0.6) - alpha) <= 1e-14);
  BOOST_TEST(std::abs(schedule_of(d)->sigma(0.6) - std::sqrt(1 - alpha * alpha)) <= 1e-14);
  BOOST_TEST(with({{"sde", "vpsde"}, {"continuous", false}}, betas)["sampling"]["time_scale"] == 199);  // N - 1

  d = with({{"sde", "subvpsde"}, {"continuous", false}}, betas, false);
  BOOST_TEST(d["prediction"] == "epsilon");
  BOOST_TEST(d["sampling"]["time_scale"] == 999);  // whatever `continuous` is
  BOOST_TEST(d["sampling"]["range"] == json({0, 1}));
  BOOST_TEST(std::abs(schedule_of(d)->alpha(0.6) - alpha) <= 1e-14);
  BOOST_TEST(std::abs(schedule_of(d)->sigma(0.6) - (1 - alpha * alpha)) <= 1e-14);

  const json levels = {{"sigma_min", 0.02}, {"sigma_max", 20}, {"num_scales", 200}};
  d = with({{"sde", "vesde"}, {"continuous", true}}, levels);
  BOOST_TEST(d["prediction"] == "score");
  BOOST_TEST(!d["sampling"].contains("time_scale"));
  BOOST_TEST(schedule_of(d)->t_max == 20);
  BOOST_TEST(schedule_of(d)->sigma(0.6) == 0.6);  // is told sigma
  d = with({{"sde", "vesde"}, {"continuous", false}}, levels);
  BOOST_TEST(std::abs(schedule_of(d)->sigma(0.5) - std::sqrt(0.02 * 20)) <= 1e-14);
  const double scale = d["sampling"]["time_scale"], offset = d["sampling"]["time_offset"];
  BOOST_TEST(scale * 1 + offset == 0);  // the noisiest level comes first
  BOOST_TEST(scale * 0 + offset == 199);
}

BOOST_AUTO_TEST_CASE(edm) {
  const auto range = [](const std::string& reference, const json& options,
                        const std::map<std::string, Values>& tables = {}) {
    const json d = said(reference, options, tables);
    BOOST_TEST(d["prediction"] == "sample");
    const SchedulePtr schedule = schedule_of(d);
    BOOST_TEST(schedule->sigma(1) == 1);
    return Values{schedule->t_min, schedule->t_max};
  };
  const auto vp_sigma = [](double d, double min, double t) { return std::sqrt(std::exp(d * t * t / 2 + min * t) - 1); };
  const std::string vp = "edm-vp-labels";
  for (const std::string name : {"edm", "training.networks.EDMPrecond"}) {
    BOOST_TEST(range(vp, {{"class_name", name}}) == (Values{0.002, 80}));
    BOOST_TEST(range(vp, {{"class_name", name}, {"sigma_min", 0.01}, {"sigma_max", 30}}) == (Values{0.01, 30}));
    BOOST_TEST(range(vp, {{"class_name", name}, {"sigma_min", 1e-4}, {"sigma_max", 1e4}}) == (Values{0.002, 80}));
  }
  BOOST_TEST(range(vp, {{"class_name", nullptr}, {"precond", "ve"}}) == (Values{0.02, 100}));
  BOOST_TEST(range(vp, {{"class_name", "VEPrecond"}, {"sigma_min", 0.1}, {"sigma_max", 9}}) == (Values{0.1, 9}));
  const Values plain = range(vp, json::object()),
               other = range(vp, {{"beta_d", 10}, {"beta_min", 0.3}, {"epsilon_t", 1e-2}});
  BOOST_TEST(std::abs(plain[0] / vp_sigma(19.9, 0.1, 1e-5) - 1) <= 1e-9);
  BOOST_TEST(std::abs(plain[1] / vp_sigma(19.9, 0.1, 1) - 1) <= 1e-14);
  BOOST_TEST(std::abs(other[0] / vp_sigma(10, 0.3, 1e-2) - 1) <= 1e-12);
  BOOST_TEST(std::abs(other[1] / vp_sigma(10, 0.3, 1) - 1) <= 1e-14);

  // iddpm: below its least level the network would be told the step before the first.
  Values u(101, 0.0);
  const auto bar = [](double j) { return std::pow(std::sin(std::numbers::pi / 2 * j / 100 / 1.008), 2); };
  for (std::size_t j = 100; j > 0; --j) {
    const double k = static_cast<double>(j);
    u[j - 1] = std::sqrt((u[j] * u[j] + 1) / std::max(bar(k - 1) / bar(k), 1e-3) - 1);
  }
  BOOST_TEST(range("edm-iddpm", json::object(), {{"u", u}}) == (Values{u[99], 80}));
  BOOST_TEST(u[99] > 0.002);
  u[0] = 50;
  BOOST_TEST(range("edm-iddpm", json::object(), {{"u", u}})[1] == 50);
}

BOOST_AUTO_TEST_CASE(small_families) {
  const auto csdi = [](const json& diffusion) { return said("csdi", {{"diffusion", diffusion}}); };
  check_betas(csdi(json::object()), linear(1e-4, 0.2, 30));
  check_betas(csdi({{"schedule", "quad"}, {"num_steps", 20}}),
              mapped(linear(std::sqrt(1e-4), std::sqrt(0.2), 20), [](double b) { return b * b; }));
  check_betas(said("toy-flat", json::object()), linear(1e-4, 0.02, 200));
  check_betas(said("toy-flat", {{"num_timesteps", 60}}), linear(1e-4, 0.02, 60));
  check_betas(said("film-bare", {{"num_timesteps", 50}, {"beta_start", 1e-3}, {"beta_end", 0.3}}),
              linear(1e-3, 0.3, 50));
  check_betas(said("latent-relu", json::object()), Values(1000, 0.008));
  const json d = said("cnn-gelu-bare", json::object());  // times are shares of the steps
  BOOST_TEST(schedule_of(d)->t_max * d["sampling"]["time_scale"].get<double>() == 1);
}

BOOST_AUTO_TEST_SUITE_END()
