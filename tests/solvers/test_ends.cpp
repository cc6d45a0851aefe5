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
              .stepper = make_stepper(name),
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
