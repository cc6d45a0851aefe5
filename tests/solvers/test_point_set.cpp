// The optimisation view: ideal denoiser, smoothed distance and its gradient, the relative-error model along DDIM paths.
#include "core/random.h"
#include "solvers/point_set.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

Tensor four_points() { return Tensor::from({0, 0.5, 0, 0, 0.5, 0, 1, 1}, {4, 2}); }

BOOST_AUTO_TEST_SUITE(optimisation_view)

BOOST_AUTO_TEST_CASE(gradient_of_the_smoothed_distance) {
  const Tensor points = four_points(), x = row_of({0.2, 0.37});
  const ExactProblem ideal = point_set(points);
  const double s = 0.4, h = 1e-3;
  const Tensor gradient = s * ideal.net(x, {0, 1, s}, ideal.p);
  check_near(gradient, {0.05326624, 0.13451886}, 5.1e-9);  // published
  for (std::size_t i = 0; i < 2; ++i) {
    const auto at = [&](double by) {
      std::vector<double> moved = x.to_vector();
      moved[i] += by;
      return smoothed_distance(points, row_of(moved), s)[0];
    };
    const double slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    BOOST_TEST(std::abs(slope - gradient.to_vector()[i]) < 1e-10);
  }
}

BOOST_AUTO_TEST_CASE(the_smoothed_distance_tends_to_half_the_square) {
  const Tensor points = four_points(), y = Tensor::from({0.2, 0.37, 3, -1}, {2, 2});
  const Nearest nearest = nearest_points(points, y);
  check_near(nearest.point, {0, 0.5, 0.5, 0}, 0);
  for (std::size_t i = 0; i < 2; ++i) {
    const double square = nearest.distance[i] * nearest.distance[i] / 2;
    BOOST_TEST(smoothed_distance(points, y, 1e-3)[i] == square, boost::test_tools::tolerance(1e-12));
    // At most s^2 ln m below it.
    const double smooth = smoothed_distance(points, y, 0.5)[i];
    BOOST_TEST((smooth < square && smooth > square - 0.25 * std::log(4)));
  }
}

BOOST_AUTO_TEST_CASE(ddim_with_the_ideal_denoiser_keeps_to_the_distance_bounds) {
  // dist is kept within the products of 1 + beta (eta -+ 1): theorem 4.1, with eta as measured at each level.
  const Tensor points = four_points();
  const ExactProblem ideal = point_set(points);
  const auto ve = schedule_of(R"({"type": "ve", "sigma_min": 0.01, "sigma_max": 10})");
  const Sampler sampler = sampler_of(ideal, "ddim", make_grid("lambda", *ve, 30), "{}", ve);
  double before = 0, bound = 0, beta = 0;
  walk(sampler, 10.0 * normal_noise(4, 0, 1, 0, {2}), ideal.p, {}, [&](int index, const State& state) {
    const Level& at = sampler.grid[static_cast<std::size_t>(index)];
    const Nearest nearest = nearest_points(points, state.y);
    if (index > 0) BOOST_TEST(nearest.distance[0] <= before * (1 + beta * (bound - 1)) * (1 + 1e-9), "level " << index);
    const Tensor off = at.s() * ideal.net(state.y, {0, 1, at.s()}, ideal.p) - (state.y - nearest.point);
    before = nearest.distance[0], bound = std::sqrt(inner(off, off).item()) / before;
    if (index < sampler.steps()) beta = 1 - sampler.grid[static_cast<std::size_t>(index) + 1].s() / at.s();
  });
  BOOST_TEST(before < 0.05);
}

BOOST_AUTO_TEST_CASE(admissible_schedules) {
  const ErrorModel model{.eta = 0.1, .nu = 2};
  for (const int steps : {1, 5, 20}) {
    const double beta = largest_beta(model, steps);
    const auto falling = [&](double by) {
      std::vector<double> s{10};
      for (int i = 0; i < steps; ++i) s.push_back(s.back() * (1 - by));
      return s;
    };
    BOOST_TEST(is_admissible(falling(beta * (1 - 1e-9)), model));
    BOOST_TEST(!is_admissible(falling(beta * (1 + 1e-6)), model));
  }
  BOOST_TEST(largest_beta({.eta = 0, .nu = 1.5}, 4) == 1);  // an exact gradient may go all the way
  check_throws([] { return largest_beta({.eta = 0.1, .nu = 0.5}, 4); }, {"nu", "0.5"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
