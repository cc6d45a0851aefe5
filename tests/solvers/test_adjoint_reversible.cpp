// The reversible adjoint: direct's gradient without its states, by every method that has an inverse; its memory, and what
// it says where the inverse loses its digits.
#include <algorithm>

#include "autodiff/ops/cast.h"
#include "autodiff/ops/tanh.h"
#include "core/memory.h"
#include "solvers/brownian_tree.h"
#include "tests/solvers/gradients.h"

namespace costate {
namespace {

/// The reversible methods. The inverse of edict loses the digits of a thousand steps.
struct Reversible {
  const char *stepper, *options;
  bool long_runs = true;
};
constexpr Reversible reversible[] = {{"o-belm", "{}"},
                                     {"bdia", "{}"},
                                     {"edict", "{}", false},
                                     {"rex", "{}"},
                                     {"rex", R"({"tableau": "rk4"})"},
                                     {"rex", R"({"form": "noise"})"},
                                     {"rex", R"({"sde": "euler"})"},
                                     {"rex", R"({"sde": "shark"})"}};

Sampler reversible_on(const ExactProblem& problem, const Reversible& method, int steps) {
  Sampler sampler = on_mixture(problem, method.stepper, steps, "lambda", method.options);
  sampler.noise = tree_noise(7, 0);
  return sampler;
}

/// The largest distance of x_T, z and theta, each as a share of its own: that in x_T may be far smaller than the others.
double farthest(const Gradient& a, const Gradient& b) {
  const auto of = [](const Tensor& u, const Tensor& v) {
    const Tensor d = u - v;
    return std::sqrt(inner(d, d).item() / inner(v, v).item());
  };
  double worst = of(a.x_T, b.x_T);
  for (std::size_t i = 0; i < b.p.size(); ++i) worst = std::max(worst, of(a.p[i], b.p[i]));
  return worst;
}

BOOST_AUTO_TEST_SUITE(adjoint_reversible)

BOOST_AUTO_TEST_CASE(reversible_is_direct_without_its_states) {
  const auto problem = mixture();
  for (const auto& method : reversible) {
    GradientProblem of = problem_of(reversible_on(problem, method, 100), problem);
    const auto check = [&](double bound, const char* what) {
      const double off = farthest(make_adjoint("reversible").gradient(of), make_adjoint("direct").gradient(of));
      BOOST_TEST_MESSAGE("reversible with " << method.stepper << method.options << ", " << what << ": " << off);
      BOOST_TEST(off < bound, method.stepper << method.options << ", " << what << ": " << off);
    };
    check(1e-10, "f64");
    of.sampler.denoiser.dtype = DType::f32;
    check(1e-3, "network in f32");
    of.x_T = cast(of.x_T, DType::f32);
    of.loss = [](const Tensor& x_0) { return half_square_distance(cast(x_0, DType::f64)); };
    check(1e-3, "states in f32");
  }
  for (const auto& type : steppers())
    BOOST_TEST((make_stepper(type.name).invert == nullptr ||
                std::any_of(std::begin(reversible), std::end(reversible),
                            [&](const Reversible& r) { return r.stepper == type.name; })),
               type.name << " is not covered");
  check_throws([&] { return gradient_of("reversible", on_mixture(problem, "ddim", 9), problem); },
               {"ddim", "o-belm", "checkpointed"});
}

/// From sigma = 80 to 0.002 the ODE contracts by 4e4, the reverse SDE by its square: without the states that are kept on the
/// way, the gradient through the SDE would be off by 1e-7.
BOOST_AUTO_TEST_CASE(reversible_holds_on_the_widest_grid) {
  const auto problem = mixture();
  const SchedulePtr edm = schedule_from(Config::parse(R"({"type": "edm"})", "test"));
  for (const auto& method : reversible) {
    Sampler sampler = sampler_of(problem, method.stepper, make_grid("karras", *edm, 100), method.options, edm);
    sampler.noise = tree_noise(7, 0);
    const Gradient g = gradient_of("reversible", sampler, problem);
    const double off = farthest(g, gradient_of("direct", sampler, problem));
    BOOST_TEST_MESSAGE("reversible with " << method.stepper << method.options << ", EDM's grid: " << off);
    BOOST_TEST(off < 1e-10, method.stepper << method.options << ": " << off);
    BOOST_TEST(g.warning.empty(), g.warning);
  }
}

BOOST_AUTO_TEST_CASE(reversible_says_how_far_its_inverse_goes_astray) {
  const auto problem = mixture();
  const Gradient g = gradient_of("reversible", on_mixture(problem, "edict", 320), problem);
  for (const char* part : {"edict", "x_T", "checkpointed"}) BOOST_TEST(g.warning.find(part) != std::string::npos, part);
  BOOST_TEST(gradient_of("reversible", on_mixture(problem, "o-belm", 100), problem).warning.empty());
}

// What the error of longer runs proposes.
BOOST_AUTO_TEST_CASE(reversible_goes_a_thousand_steps_of_edict_with_p_near_1) {
  const auto problem = mixture();
  std::vector<std::int64_t> peaks;
  for (const int steps : {10, 1000}) {
    const Sampler sampler = reversible_on(problem, {"edict", R"({"p": 0.99})"}, steps);
    const auto before = memory_use().live;
    reset_peak();
    const Gradient g = gradient_of("reversible", sampler, problem);
    peaks.push_back(memory_use().peak - before);
    const double off = farthest(g, gradient_of("direct", sampler, problem));
    BOOST_TEST_MESSAGE("edict with p = 0.99, " << steps << " steps: " << off);
    BOOST_TEST(off < 1e-10, steps << " steps: " << off);
  }
  BOOST_TEST(peaks[0] == peaks[1]);
}

BOOST_AUTO_TEST_CASE(reversible_begins_at_pure_noise) {
  const auto problem = mixture();
  Grid grid = make_grid("t", *vp_linear(1e-2), 10);
  grid.insert(grid.begin(), {1.1, 0, 1});
  for (const char* name : {"o-belm", "bdia", "edict", "rex"}) {
    Sampler sampler = sampler_of(problem, name, grid, "{}", vp_linear());
    // The mixture's own net is told eps, which pure noise does not determine.
    sampler.denoiser.net = [](const Tensor& x, const Level& at, const Tensors& p) {
      return tanh((0.5 + at.alpha) * x + p[0]);
    };
    sampler.denoiser.prediction = Prediction::sample;
    const double off = distance(gradient_of("reversible", sampler, problem), gradient_of("direct", sampler, problem));
    BOOST_TEST(off < 1e-12, name << ": " << off);
  }
}

BOOST_AUTO_TEST_CASE(reversible_needs_the_same_bytes_for_any_number_of_steps) {
  const auto problem = mixture();
  for (const auto& method : reversible) {
    std::vector<std::int64_t> peaks;
    for (const int steps : {10, 100, 1000}) {
      const Sampler sampler = reversible_on(problem, method, steps);
      if (steps == 1000 && !method.long_runs) {
        check_throws([&] { return gradient_of("reversible", sampler, problem); },
                     {method.stepper, "x_T", "p = 0.99", "o-belm"});
        continue;
      }
      const auto before = memory_use().live;
      reset_peak();
      const Gradient g = gradient_of("reversible", sampler, problem);
      if (std::string(method.stepper) == "o-belm") BOOST_TEST(g.nfe == 3 * steps - 1);  // the first inverse takes none
      peaks.push_back(memory_use().peak - before);
    }
    BOOST_TEST_MESSAGE(method.stepper << method.options << ", peak bytes: " << peaks.front() << " to " << peaks.back());
    for (const auto peak : peaks) BOOST_TEST(peak == peaks[0], method.stepper << method.options);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
