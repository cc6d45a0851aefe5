// Both ends: every sampler on every schedule, from pure noise and to the clean end, in one step and in several.
#include "core/random.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

/// A sampler's name with the grids it should survive: noise first, the last level clean.
Grid to_the_clean_end(const Schedule& schedule, int steps) {
  Grid grid = make_grid("t", schedule, steps, FinalLevel::first);
  grid.back() = {.t = schedule.t_min, .alpha = 1, .sigma = 0};
  return grid;
}

std::vector<std::string> all_schedules() {
  std::vector<std::string> all;
  for (const auto& type : schedules()) all.push_back(R"({"type": ")" + type.name + "\"}");
  all.emplace_back(R"({"type": "ddpm", "rescale_betas_zero_snr": true})");
  all.emplace_back(R"({"type": "ddpm", "beta_schedule": "squaredcos_cap_v2"})");
  all.emplace_back(R"({"type": "flow", "t_min": 0})");
  all.emplace_back(R"({"type": "vp_linear", "t_min": 0})");
  return all;
}

BOOST_AUTO_TEST_SUITE(both_ends)

// alpha = 0 at the start (flow, zero terminal SNR), sigma = 0 or t = 0 at the end, one step: a v network says eps and x_0 at
// both, so that every sampler is defined. x_0 of one component in the plane lies near its mean, whatever the sampler.
BOOST_AUTO_TEST_CASE(no_nan_in_any_sampler_on_any_schedule) {
  const auto problem = mixture();
  const Tensor noise = normal_noise(3, 0, 4, 0, {2});
  for (const auto& json : all_schedules()) {
    const auto schedule = schedule_of(json);
    for (const auto& name : sampler_names()) {
      for (const int steps : {1, 2, 5}) {
        BOOST_TEST_CONTEXT(name << " on " << json << ", " << steps << " steps") {
          Sampler sampler{
              .denoiser = {.net = problem.predicting(Prediction::v), .prediction = Prediction::v, .dtype = DType::f64},
              .grid = to_the_clean_end(*schedule, steps),
              .stepper = stepper_of(name, name.rfind("analytic", 0) == 0 ? R"({"data_variance": 1})" : "{}"),
              .noise = fresh_noise(5, 0),
              .schedule = schedule};
          const double scale_x = sampler.grid.front().alpha == 0
                                     ? sampler.grid.front().sigma
                                     : std::hypot(sampler.grid.front().alpha, sampler.grid.front().sigma);
          try {
            const Tensor x_0 = sample(sampler, scale_x * noise, problem.p);
            BOOST_TEST(first_non_finite(x_0) < 0);
          } catch (const Error& e) {
            BOOST_ERROR(e.what());
          }
        }
      }
    }
  }
}

// The first of two steps of flow matching, from t = 1 and from close by: where a method's own step has a limit, it is taken. (Second-order
// single steps and Euler's of the SDE have none.)
BOOST_AUTO_TEST_CASE(the_step_from_pure_noise_is_the_limit_of_the_method) {
  const auto problem = mixture();
  const auto flow = schedule_of(R"({"type": "flow"})");
  const Tensor noise = normal_noise(3, 0, 4, 0, {2});
  const auto from = [&](double t, const std::string& name, const std::string& options) {
    Sampler sampler = sampler_of(problem, name, {flow->level(t), flow->level(0.5), flow->level(0.1)}, options);
    sampler.denoiser = as(problem, Prediction::v);
    sampler.noise = fresh_noise(5, 0);
    sampler.schedule = flow;
    return sampler.x_at(1, sampler.step(0, sampler.start(t * noise), problem.p));
  };
  for (const auto& [name, options] :
       {std::pair{"ddim", "{}"},
        {"ddim", R"({"eta": 0.5})"},
        {"ddpm", "{}"},
        {"ddpm", R"({"variance": "large"})"},
        {"euler-ancestral", R"({"eta": 0.5})"},
        {"dpm-1", R"({"eta": 0.5})"},
        {"sde-dpmpp-1", R"({"eta": 0.9})"},
        {"sde-dpmpp-2m", R"({"eta": 0.9})"},
        {"sde-dpmpp-3m", R"({"eta": 0.9})"},
        {"ge", R"({"mu": 0.45})"},
        {"sa", R"({"tau": 0.95})"},
        {"sa", R"({"tau": 0.95, "t_to": 0.9})"},
        {"analytic-ddpm", R"({"covariance": "ms_eps", "ms_eps": [1, 1], "data_variance": 1e-9})"},
        {"edm", R"({"kind": "euler", "S_churn": 0.3})"},
        {"edm", R"({"kind": "euler", "S_churn": 0.3, "noise_before_network": false})"},
        {"edm", R"({"kind": "euler", "S_churn": 0.3, "S_max": 1})"},
        {"pc", R"({"predictor": "ddim", "times": 0})"},
        {"pc", R"({"predictor": "ddpm", "variance": "large", "times": 0})"},
        {"bdia", "{}"},
        {"dpmpp-2m", "{}"}})
    BOOST_TEST_CONTEXT(name << " " << options) {
      check_near(from(1, name, options), from(1 - 1e-9, name, options).to_vector(), 1e-6);
    }
}

// x_0 is known from pure noise up to the variance of the data, which analytic variances have to be told: then N(0, 0.25) keeps its variance
// in every step, by the sum of what eps and the noise leave.
BOOST_AUTO_TEST_CASE(analytic_variances_from_pure_noise) {
  const auto problem = normal(0.25);
  const auto flow = schedule_of(R"({"type": "flow"})");
  const Grid grid = {flow->level(1), flow->level(0.5), flow->level(0.1)};
  const auto step = [&](const std::string& name, const std::string& options, double y, double z) {
    Sampler sampler = sampler_of(problem, name, grid, options);
    sampler.denoiser = as(problem, Prediction::v);
    sampler.noise = [z](const Draw&, const Tensor& like) { return Tensor::full(like.shape(), z, like.dtype()); };
    return sampler.x_at(1, sampler.step(0, {row_of({y}), {}}, problem.p)).item();
  };
  for (const char* name : {"analytic-ddpm", "analytic-ddim"})
    for (const char* how : {R"("ms_eps": [1, 0.8])", R"("covariance": "eps")"}) {
      const std::string options = fmt::format(R"({{{}, "data_variance": 0.25}})", how);
      const double variance = std::pow(step(name, options, 1, 0) - step(name, options, 0, 0), 2) +
                              std::pow(step(name, options, 0, 1) - step(name, options, 0, 0), 2);
      BOOST_TEST(std::abs(variance - (0.25 * 0.25 + 0.25)) < 1e-12, name << " " << how << ": " << variance);
      check_throws([&] { return step(name, fmt::format("{{{}}}", how), 0, 0); }, {"pure noise", "data_variance"});
    }
}

// Predictions that do not determine a value at an end say so, and name the level.
BOOST_AUTO_TEST_CASE(predictions_that_an_end_leaves_undetermined) {
  const auto problem = mixture();
  const auto flow = schedule_of(R"({"type": "flow"})");
  const Tensor x = start_of_mixture();
  const auto at = [&](Prediction p, const Level& level) {
    const Denoiser d{
        .net = [](const Tensor& in, const Level&, const Tensors&) { return in; }, .prediction = p, .dtype = DType::f64};
    return d.both(x, level, problem.p);
  };
  for (const Prediction p : {Prediction::epsilon, Prediction::noise, Prediction::score})
    check_throws([&] { return at(p, flow->level(1)); }, {"does not determine x_0", "t = 1", "alpha = 0"});
  for (const Prediction p : {Prediction::sample, Prediction::noise})
    check_throws([&] { return at(p, {0, 1, 0}); }, {"does not determine eps", "sigma = 0"});
  for (const Prediction p : {Prediction::v, Prediction::flow}) {
    BOOST_TEST(first_non_finite(at(p, flow->level(1)).x_0) < 0);
    BOOST_TEST(first_non_finite(at(p, {0, 1, 0}).eps) < 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
