// Riemannian Langevin dynamics and its probability flow by particles.
#include "solvers/particles.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

const Level at{0.5, 1, 0.5};  // of N(0, 0.75) it makes q_t = N(0, 1)

Sampler one_step(const ExactProblem& problem, const std::string& options) {
  return sampler_of(problem, "langevin", {at, {0.4, 1, 0.4}}, options);
}

BOOST_AUTO_TEST_SUITE(langevin_dynamics)

/// With M = 1 + k x^2 and the drift b = -x M + 2 k x, E x'^2 = 1 + h^2 E b^2 for x ~ N(0, 1): no term in h, which is what
/// dM/dx is for. Gauss and Hermite's rule with four nodes is exact for E b^2.
BOOST_AUTO_TEST_CASE(a_metric_leaves_the_density) {
  const auto problem = normal(0.75);
  const double a = std::sqrt(3 - std::sqrt(6)), b = std::sqrt(3 + std::sqrt(6)), w_a = 1 / (4 * (3 - std::sqrt(6))),
               w_b = 1 / (4 * (3 + std::sqrt(6)));
  const std::pair<double, double> nodes[] = {{-b, w_b}, {-a, w_a}, {a, w_a}, {b, w_b}};
  for (const double k : {0.0, 0.3}) {
    for (const double h : {0.1, 0.01}) {
      Sampler sampler =
          one_step(problem, fmt::format(R"({{"size": "fixed", "step": {}, "curvature": {}}})", h / 0.25, k * 0.25));
      const auto step = [&](double x, double z) {
        sampler.noise = [z](const Draw&, const Tensor& like) { return Tensor::full(like.shape(), z, like.dtype()); };
        return sampler.step(0, {row_of({x}), {}}, problem.p).y.item();
      };
      double found = 0, drift = 0;
      for (const auto& [x, w] : nodes) {
        const double mean = step(x, 0), up = step(x, 1) - mean;
        found += w * (mean * mean + up * up);
        drift += w * std::pow(-x * (1 + k * x * x) + 2 * k * x, 2);
      }
      BOOST_TEST(std::abs(found - 1 - h * h * drift) < 1e-13, "k = " << k << ", h = " << h << ": " << found);
    }
  }
}

/// Three particles and N(0, 1), K = exp(-d^2 / 2).
BOOST_AUTO_TEST_CASE(directions_of_particles) {
  const Tensor x = Tensor::from({-1, 0, 2}, {3, 1});
  check_near(particle_direction(Particles::svgd, x, -x, 1), {0.33792436, 0.67172019, -1.68489345}, 5e-9);
  check_near(particle_direction(Particles::gfsd, x, -x, 1), {0.60444982, 0.19281627, -1.73483443}, 5e-9);
  check_near(particle_direction(Particles::gfsf, x, -x, 1), {-0.31561215, 1.11104924, -1.83175148}, 5e-9);
  check_near(particle_direction(Particles::blob, x, -x, 1), {0.22717252, 0.33166851, -1.55884103}, 5e-9);
  // Through the sampler: the kernel's width is in sigma = 0.5, and h = step sigma^2.
  const auto problem = normal(0.75);
  const Sampler sampler = one_step(problem, R"({"size": "fixed", "step": 0.4, "flow_by": "blob", "bandwidth": 2})");
  BOOST_TEST(sampler.stepper.eta == 0);
  BOOST_TEST((sampler.stepper.batching == Batching::all_at_once));
  check_near(sampler.step(0, {x, {}}, problem.p).y, {-1 + 0.1 * 0.22717252, 0.1 * 0.33166851, 2 - 0.1 * 1.55884103},
             1e-9);
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  check_throws([] { stepper_of("langevin", R"({"flow_by": "svgf"})"); }, {"svgf", "svgd"});
  check_throws([] { stepper_of("langevin", R"({"flow_by": "blob", "size": "langevin"})"); }, {"ald or fixed"});
  check_throws([] { stepper_of("langevin", R"({"curvature": -1})"); }, {"curvature"});
  check_throws([] { stepper_of("pc", R"({"curvature": 1})"); }, {"pc", "curvature"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
