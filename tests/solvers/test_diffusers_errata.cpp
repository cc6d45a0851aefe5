// Where diffusers departs from the right formula: that it does, and that the default here does not (solvers/README.md).
#include <nlohmann/json.hpp>

#include "autodiff/ops/arithmetic.h"
#include "solvers/stochastic.h"
#include "tests/solvers/problems.h"
#include "tools/model/scheduler.h"

namespace costate {
namespace {

struct Read {
  Scheduler scheduler;
  SchedulePtr schedule;
  SchedulerPlan plan;
};

Read read(const std::string& config, int steps, bool compat) {
  const Scheduler scheduler = read_scheduler(Config::parse(config, "scheduler_config.json"), compat);
  const auto schedule = schedule_from(scheduler.schedule);
  return {scheduler, schedule, scheduler.plan(*schedule, steps)};
}

Sampler sampler_of(const Read& r, const ExactProblem& problem) {
  return {.denoiser = as(problem, r.scheduler.prediction),
          .grid = r.plan.grid,
          .stepper = make_stepper(r.plan.sampler, r.plan.options),
          .noise = fresh_noise(1, 0),
          .schedule = r.schedule,
          .targets = r.plan.targets,
          .repeats = r.plan.repeats};
}

/// E x_0^2 of N(0, v) data sampled by a linear method: its response to x_T and to each draw, which come one a step.
double variance(const std::string& config, int steps, bool compat, double v) {
  const auto problem = normal(v);
  Sampler sampler = sampler_of(read(config, steps, compat), problem);
  const Level first = sampler.grid.front();
  const auto response = [&](double x_T, int draw) {
    sampler.noise = [draw](const Draw& d, const Tensor& like) {
      return Tensor::full(like.shape(), d.step == draw ? 1 : 0, like.dtype());
    };
    return sample(sampler, row_of({x_T}), problem.p).item();
  };
  double sum = std::pow(response(1, -1), 2) * (first.alpha * first.alpha * v + first.sigma * first.sigma);
  for (int i = 0; i < sampler.steps(); ++i) sum += std::pow(response(0, i), 2);
  return sum;
}

BOOST_AUTO_TEST_SUITE(diffusers_errata)

BOOST_AUTO_TEST_CASE(steps_of_ddim_end_on_the_grid) {
  const std::string linspace =
      R"({"_class_name": "DDIMScheduler", "timestep_spacing": "linspace", "clip_sample": false})";
  const Read compat = read(linspace, 10, true);
  BOOST_REQUIRE(compat.plan.targets.size() == 10);
  BOOST_TEST(compat.plan.grid[1].t == 888);
  BOOST_TEST(compat.plan.targets[0].t == 899);
  BOOST_TEST(read(linspace, 10, false).plan.targets.empty());
}

BOOST_AUTO_TEST_CASE(churn_before_or_behind_the_network) {
  const std::string churn =
      R"({"_class_name": "EulerDiscreteScheduler", "s_churn": 40, "timestep_spacing": "linspace"})";
  const double v = 0.25, right = variance(churn, 100, false, v), theirs = variance(churn, 100, true, v);
  BOOST_TEST(std::abs(right - v) < std::abs(theirs - v), right << " and " << theirs << " for " << v);
}

BOOST_AUTO_TEST_CASE(sign_of_the_third_term) {
  const std::string third =
      R"({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++", "solver_order": 3})";
  const double v = 0.25, right = variance(third, 40, false, v), theirs = variance(third, 40, true, v);
  BOOST_TEST(std::abs(right - v) < 0.5 * std::abs(theirs - v), right << " and " << theirs << " for " << v);
}

BOOST_AUTO_TEST_CASE(unipc_to_the_clean_end) {
  const auto problem = mixture();
  for (const char* form : {"true", "false"}) {
    const Read r = read(fmt::format(R"({{"_class_name": "UniPCMultistepScheduler", "solver_type": "bh1",
                                         "lower_order_final": false, "predict_x0": {}}})",
                                    form),
                        12, true);
    BOOST_TEST(r.plan.grid.back().s() == 0);
    BOOST_TEST(first_non_finite(sample(sampler_of(r, problem), start_of_mixture(), problem.p)) < 0);
  }
}

BOOST_AUTO_TEST_CASE(shift_of_flow_matching) {
  const std::string shift = R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3})";
  BOOST_TEST(std::abs(read(shift, 10, false).plan.grid[9].sigma - 0.002994) < 1e-6);
  BOOST_TEST(std::abs(read(shift, 10, true).plan.grid[9].sigma - 0.008929) < 1e-6);
}

BOOST_AUTO_TEST_CASE(levels_that_repeat) {
  const std::string karras = R"({"_class_name": "DEISMultistepScheduler", "use_karras_sigmas": true,
                              "lower_order_final": false})";
  const Read compat = read(karras, 10, true), right = read(karras, 10, false);
  BOOST_TEST(compat.plan.repeats);
  BOOST_TEST(compat.plan.grid.size() == 11);
  BOOST_TEST(compat.plan.grid[9].s() == compat.plan.grid[10].s());
  BOOST_TEST(!right.plan.repeats);
  BOOST_TEST(right.plan.grid.size() == 10);
  const auto problem = mixture();
  const Tensor x_T = start_of_mixture();
  check_near(sample(sampler_of(compat, problem), x_T, problem.p),
             sample(sampler_of(right, problem), x_T, problem.p).to_vector(), 1e-12);
}

// s_down^2 = s'^2 - s_up^2 with s_up^2 = s'^2 (1 - (s'/s)^2), as k-diffusion writes it, is a difference of nearly equal numbers.
BOOST_AUTO_TEST_CASE(ancestral_steps_keep_their_digits) {
  const double from = 1e4, to = 6.4e-3, exact = to * to / from;
  BOOST_TEST(std::abs(ancestral(from, to, 1).down / exact - 1) < 1e-15);
  const double up = std::sqrt(to * to * (from * from - to * to) / (from * from));
  const double released = std::sqrt(std::max(0.0, to * to - up * up));
  BOOST_TEST(std::abs(released / exact - 1) > 1e-6, "as released it is off by " << released / exact - 1);
}

/// Of the step that diffusers appends from the last Karras sigma, found through a root and its power, to sigma_min, which it is:
/// the noise that SDE-DPM-Solver++ adds, sigma sqrt(1 - e^-2h).
template <class Real>
Real noise_to_sigma_min(Real least, Real most, Real rho) {
  const Real root_most = std::pow(most, 1 / rho), root_least = std::pow(least, 1 / rho);
  const Real last = std::pow(root_most + (root_least - root_most), rho);
  return least * std::sqrt(std::abs(-std::expm1(2 * (std::log(least) - std::log(last)))));
}

// What the library adds there is the root of a rounding: 1.8e-9 in f64, and less by the root of 2^11 in long double; in exact
// numbers none, as here. The rounding may as well be negative, which makes its noise NaN.
BOOST_AUTO_TEST_CASE(a_step_to_where_it_is_adds_no_noise) {
  BOOST_TEST(noise_to_sigma_min<double>(0.03, 80, 7) > 1e-9);
  BOOST_TEST(noise_to_sigma_min<long double>(0.03L, 80, 7) < 5e-11);
  const std::string config = R"({"_class_name": "EDMDPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++",
                              "final_sigmas_type": "sigma_min", "sigma_min": 0.03})";
  const auto problem = mixture();
  const Read compat = read(config, 6, true);
  BOOST_TEST(compat.plan.repeats);
  const auto states = trajectory(sampler_of(compat, problem), 80 * start_of_mixture(), problem.p);
  BOOST_TEST(states[6].y.to_vector() == states[5].y.to_vector());
  BOOST_TEST(read(config, 6, false).plan.grid.size() == 6);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
