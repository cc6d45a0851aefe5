// Variances of steps: Analytic-DPM's are exact on Gaussian data, learned ones lie between small and large.
#include "autodiff/ops/concat.h"
#include "core/random.h"
#include "solvers/analytic.h"
#include "tests/solvers/sampled_variance.h"

namespace costate {
namespace {

/// E eps^2 of N(0, variance) at a level.
double exact_ms_eps(const Level& at, double variance) {
  return at.sigma * at.sigma / (at.alpha * at.alpha * variance + at.sigma * at.sigma);
}

/// Its list for the grid of sampled_variance, as an option.
std::string exact_list(int steps) {
  std::string text = R"({"ms_eps": [)";
  const Grid grid = make_grid("lambda", *vp_linear(), steps);
  for (int k = 0; k < steps; ++k)
    text += fmt::format("{}{}", k == 0 ? "" : ", ", exact_ms_eps(grid[static_cast<std::size_t>(k)], 0.25));
  return text + "]";
}

/// A network for N(0, variance) that says eps and, in its second half, `variance_of(eps, level)`.
Net two_halves(const ExactProblem& problem, std::function<Tensor(const Tensor& eps, const Level& at)> variance_of) {
  return [net = problem.net, variance_of](const Tensor& x, const Level& at, const Tensors& p) {
    const Tensor eps = net(x, at, p);
    return concat({eps, variance_of(eps, at)}, -1);
  };
}

Tensor filled(const Tensor& like, double value) { return Tensor::full(like.shape(), value, like.dtype()); }

BOOST_AUTO_TEST_SUITE(variances_of_steps)

BOOST_AUTO_TEST_CASE(analytic_variances_are_exact_on_gaussian_data) {
  const double truth = 0.2500824579668;
  for (const int steps : {1, 10, 100, 1000}) {
    const std::string list = exact_list(steps);
    BOOST_TEST(std::abs(sampled_variance("analytic-ddpm", steps, list + "}") - truth) < 1e-12, steps << " steps");
    for (const double eta : {0.0, 0.5, 1.0})
      BOOST_TEST(std::abs(sampled_variance("analytic-ddim", steps, list + fmt::format(R"(, "eta": {}}})", eta)) -
                          truth) < 1e-12,
                 steps << " steps, eta " << eta);
  }
}

BOOST_AUTO_TEST_CASE(learned_covariances_are_exact_on_gaussian_data) {
  const double truth = 0.2500824579668;
  const auto problem = normal(0.25);
  const auto npr = [](const Tensor& eps, const Level& at) { return filled(eps, 1 - exact_ms_eps(at, 0.25)); };
  const auto sn = [npr](const Tensor& eps, const Level& at) { return npr(eps, at) + eps * eps; };
  for (const char* stepper : {"analytic-ddpm", "analytic-ddim"}) {
    BOOST_TEST(std::abs(sampled_variance(stepper, 10, R"({"covariance": "npr"})", two_halves(problem, npr)) - truth) <
               1e-12);
    BOOST_TEST(std::abs(sampled_variance(stepper, 10, R"({"covariance": "sn"})", two_halves(problem, sn)) - truth) <
               1e-12);
  }
}

/// The erratum of the slides on SN: the covariance enters as it is. A step from the 500th level to the 400th with lambda^2 = 0.3 beta~.
BOOST_AUTO_TEST_CASE(diagonal_covariance) {
  const auto ddpm = schedule_of(R"({"type": "ddpm"})");
  const Level from = ddpm->level(499), to = ddpm->level(399);
  const std::vector<double> variances = {0.04, 0.25, 1, 2};
  const Net net = [&](const Tensor& x, const Level& at, const Tensors&) {
    std::vector<double> cov;
    for (const double v : variances) cov.push_back(1 - exact_ms_eps(at, v));
    return concat({filled(x, 0), row_of(cov)}, -1);
  };
  Sampler sampler = sampler_of(normal(1), "analytic-ddim", {from, to},
                               fmt::format(R"({{"eta": {}, "covariance": "npr", "clip": 100}})", std::sqrt(0.3)));
  sampler.denoiser.net = net;
  sampler.noise = [](const Draw&, const Tensor& like) { return filled(like, 1); };
  const Tensor up = sampler.step(0, {row_of({0, 0, 0, 0}), {}}, {}).y * to.alpha;
  check_near(up * up, {0.15822157, 0.16696832, 0.19584997, 0.22944868}, 5e-9);
}

BOOST_AUTO_TEST_CASE(learned_variance_lies_between_small_and_large) {
  const auto problem = normal(0.25);
  const auto at = [&](double v) {
    return sampled_variance("ddpm", 20, R"({"variance": "learned_range"})",
                            two_halves(problem, [v](const Tensor& eps, const Level&) { return filled(eps, v); }));
  };
  const double small = sampled_variance("ddpm", 20), large = sampled_variance("ddpm", 20, R"({"variance": "large"})");
  BOOST_TEST(std::abs(at(-1) - small) < 1e-12);
  BOOST_TEST(std::abs(at(1) - large) < 1e-12);
  BOOST_TEST((small < at(0) && at(0) < large));
  // A network of two halves is its first half to everyone else.
  BOOST_TEST(sampled_variance("ddpm", 20, "{}",
                              two_halves(problem, [](const Tensor& eps, const Level&) { return eps; })) == small);
}

BOOST_AUTO_TEST_CASE(statistics_of_data) {
  const auto problem = normal(0.25);
  const Grid grid = make_grid("lambda", *vp_linear(), 6);
  const Tensor x_0 = 0.5 * normal_noise(3, 0, 40000, 0, {1});
  const auto found = mean_square_eps(sampler_of(problem, "ddim", grid).denoiser, grid, x_0, problem.p, 1);
  BOOST_REQUIRE(found.size() == 6);
  for (std::size_t k = 0; k < 6; ++k) BOOST_TEST(std::abs(found[k] / exact_ms_eps(grid[k], 0.25) - 1) < 0.03);
}

BOOST_AUTO_TEST_CASE(options_and_refusals) {
  const auto problem = normal(0.25);
  const Grid grid = make_grid("lambda", *vp_linear(), 5);
  const auto last_noise = [&](const std::string& options) {
    Sampler sampler = sampler_of(problem, "analytic-ddpm", grid, options);
    const auto y = [&](double z) {
      sampler.noise = [z](const Draw&, const Tensor& like) { return filled(like, z); };
      return sampler.step(4, {row_of({0.1}), {}}, problem.p).y.item();
    };
    return (y(1) - y(0)) * grid[5].alpha;
  };
  BOOST_TEST(last_noise("{}") > 0.02);
  BOOST_TEST(std::abs(last_noise(R"({"last_pixels": 1})") - 2.0 / 255 * std::sqrt(M_PI / 2)) < 1e-12);
  check_throws([] { stepper_of("analytic-ddpm", R"({"covariance": "ms_eps"})"); }, {"ms_eps", "list"});
  check_throws([] { stepper_of("analytic-ddpm", R"({"covariance": "sn", "ms_eps": [1]})"); }, {"leave ms_eps out"});
  check_throws(
      [&] {
        return sampler_of(problem, "analytic-ddim", grid, R"({"covariance": "npr"})")
            .step(0, {row_of({1}), {}}, problem.p);
      },
      {"twice the channels"});
  check_throws(
      [&] {
        return sampler_of(problem, "ddpm", grid, R"({"variance": "learned_range"})")
            .step(0, {row_of({1}), {}}, problem.p);
      },
      {"twice the channels"});
  check_throws(
      [&] {
        return sampler_of(problem, "analytic-ddim", grid, R"({"ms_eps": [1, 1]})")
            .step(0, {row_of({1}), {}}, problem.p);
      },
      {"2 values of ms_eps", "5 steps"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
