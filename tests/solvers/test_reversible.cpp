// Encoding: exact inverses in ulp and how their rounding grows, ODE solvers upwards, both ends of the grid.
#include "solvers/brownian_tree.h"
#include "solvers/encode.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

/// The reversible methods, with options; how many digits a round trip of 20 steps may lose is the method's own.
struct Reversible {
  const char *stepper, *options;
  double ulps;  ///< bound for 20 steps
};
const Reversible reversible[] = {{"o-belm", "{}", 200},
                                 {"bdia", "{}", 200},
                                 {"edict", R"({"p": 0.93})", 5000},
                                 {"rex", R"({"tableau": "euler"})", 2000},
                                 {"rex", R"({"tableau": "midpoint"})", 2000},
                                 {"rex", R"({"tableau": "rk4"})", 2000},
                                 {"rex", R"({"tableau": "midpoint", "form": "noise"})", 1e5},
                                 {"rex", R"({"sde": "euler"})", 2000},
                                 {"rex", R"({"sde": "shark"})", 2000}};

Sampler on_mixture(const ExactProblem& problem, const Reversible& method, int steps) {
  Sampler sampler =
      sampler_of(problem, method.stepper, make_grid("lambda", *vp_linear(1e-2), steps), method.options, vp_linear());
  sampler.noise = tree_noise(4, 0);
  return sampler;
}

Tensor x_0_of_mixture() { return row_of({0.97, 0.12}); }

double largest(const Tensor& t) {
  double most = 0;
  for (const double v : t.to_vector()) most = std::max(most, std::abs(v));
  return most;
}

/// Largest difference in units of eps times the largest entry.
double ulps(const Tensor& found, const Tensor& expected) {
  return largest(found - expected) / (0x1p-52 * largest(expected));
}

double round_trip(const Sampler& sampler, const ExactProblem& problem) {
  const State start = encode(sampler, x_0_of_mixture(), problem.p);
  return ulps(decode(sampler, start, problem.p), x_0_of_mixture());
}

BOOST_AUTO_TEST_SUITE(encoding)

BOOST_AUTO_TEST_CASE(round_trips_are_exact_but_for_rounding) {
  const auto problem = mixture();
  for (const auto& method : reversible) {
    for (const int steps : {1, 2, 20, 80, 320}) {
      const double lost = round_trip(on_mixture(problem, method, steps), problem);
      BOOST_TEST_MESSAGE(method.stepper << " " << method.options << ", " << steps << " steps: round trip of " << lost
                                        << " ulp");
      if (steps <= 20) BOOST_TEST(lost <= method.ulps, method.stepper << ": " << lost << " ulp");
    }
  }
}

BOOST_AUTO_TEST_CASE(every_step_and_its_inverse) {
  const auto problem = mixture();
  for (const auto& method : reversible) {
    const Sampler sampler = on_mixture(problem, method, 12);
    const auto states = trajectory(sampler, start_of_mixture(), problem.p);
    for (int i = 0; i < 12; ++i) {
      const State& next = states[static_cast<std::size_t>(i) + 1];
      const State before = sampler.invert(i, next, problem.p);
      BOOST_TEST(ulps(before.y, states[static_cast<std::size_t>(i)].y) < 200, method.stepper << ", step " << i);
      const State again = sampler.step(i, before, problem.p);
      BOOST_TEST(ulps(again.y, next.y) < 200, method.stepper << ", step " << i);
      BOOST_TEST(ulps(again.memory.at(0), next.memory.at(0)) < 200, method.stepper << ", step " << i);
    }
  }
}

BOOST_AUTO_TEST_CASE(ode_solvers_upwards) {
  const auto problem = mixture();
  const auto lost = [&](const char* stepper, int steps) {
    const Sampler sampler = sampler_of(problem, stepper, make_grid("lambda", *vp_linear(1e-2), steps));
    return largest(decode(sampler, encode(sampler, x_0_of_mixture(), problem.p), problem.p) - x_0_of_mixture());
  };
  struct Case {
    const char* stepper;
    double order;
  };
  for (const Case& c : {Case{"ddim", 1}, {"heun", 2}, {"dpmpp-2m", 2}}) {
    const double coarse = lost(c.stepper, 160), fine = lost(c.stepper, 320), order = std::log2(coarse / fine);
    BOOST_TEST_MESSAGE(c.stepper << ", 320 steps: round trip off by " << fine << ", order " << order);
    BOOST_TEST(order >= c.order - 0.15, c.stepper << ": order " << order);
  }
}

BOOST_AUTO_TEST_CASE(noise_recovered_from_states) {
  const auto problem = mixture();
  for (const char* name : {"ddim", "ddpm", "sde-dpm-1", "sde-dpmpp-1", "sde-dpmpp-2m", "sde-dpmpp-3m",
                           "euler-ancestral", "euler-maruyama", "reverse-diffusion"}) {
    for (const Way way : {Way::posterior, Way::independent}) {
      for (const int steps : {1, 20, 100}) {
        Sampler sampler = sampler_of(problem, name, make_grid("lambda", *vp_linear(1e-2), steps),
                                     std::string(name) == "ddim" ? R"({"eta": 0.3})" : "{}");
        const auto states = states_to(sampler, x_0_of_mixture(), way, fresh_noise(6, 0));
        const Tensor noise = recover_noise(sampler, states, problem.p);
        BOOST_TEST(noise.dim(0) == steps);
        sampler.noise = recorded_noise(noise);
        const double lost = ulps(sample(sampler, states[0], problem.p), x_0_of_mixture());
        BOOST_TEST_MESSAGE(name << ", " << steps << " steps: " << lost << " ulp");
        BOOST_TEST(lost < 50, name << ", " << steps << " steps: " << lost << " ulp");
      }
    }
  }
  const Grid grid = make_grid("lambda", *vp_linear(1e-2), 5);
  const auto states = states_to(sampler_of(problem, "ddpm", grid), x_0_of_mixture(), Way::posterior, fresh_noise(6, 0));
  check_throws([&] { return recover_noise(sampler_of(problem, "ddim", grid), states, problem.p); }, {"draws none"});
  check_throws([&] { return recover_noise(sampler_of(problem, "shark", grid), states, problem.p); }, {"2 times"});
  check_throws([&] { return recover_noise(sampler_of(problem, "edm", grid, R"({"S_churn": 2})"), states, problem.p); },
               {"after its draw"});
}

BOOST_AUTO_TEST_CASE(both_ends) {
  const auto problem = mixture();
  const auto edm = schedule_of(R"({"type": "edm"})");
  const Grid grid = make_grid("karras", *edm, 18);  // ends at sigma = 0
  Grid to_pure_noise = make_grid("t", *vp_linear(1e-2), 10);
  to_pure_noise.insert(to_pure_noise.begin(), {1.1, 0, 1});
  for (const auto& type : steppers()) {
    if (make_stepper(type.name).eta > 0) continue;
    for (const Prediction prediction : {Prediction::epsilon, Prediction::sample, Prediction::edm}) {
      Sampler sampler = sampler_of(problem, type.name, grid, "{}", edm);
      sampler.denoiser = as(problem, prediction);
      const Tensor x_T = start_of(sampler, encode(sampler, x_0_of_mixture(), problem.p));
      BOOST_TEST(first_non_finite(x_T) < 0);
      BOOST_TEST(largest(x_T) > 10, type.name << ": x_T at sigma = 80 is no larger than " << largest(x_T));
    }
    Sampler sampler = sampler_of(problem, type.name, to_pure_noise, "{}", vp_linear());
    sampler.denoiser = as(problem, Prediction::v);
    BOOST_TEST(first_non_finite(start_of(sampler, encode(sampler, x_0_of_mixture(), problem.p))) < 0);
  }
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  const auto problem = mixture();
  const Grid grid = make_grid("lambda", *vp_linear(1e-2), 5);
  check_throws([&] { encode(sampler_of(problem, "ddim", grid, R"({"eta": 1})"), x_0_of_mixture(), problem.p); },
               {"draws noise", "ddim"});
  check_throws(
      [&] {
        return sampler_of(problem, "heun", grid).invert(0, {x_0_of_mixture(), {}}, problem.p);
      },
      {"heun", "no exact inverse"});
  check_throws([] { stepper_of("edict", R"({"p": 0})"); }, {"edict", "p = 0"});
  check_throws([] { stepper_of("bdia", R"({"gamma": 1.5})"); }, {"bdia", "gamma = 1.5"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
