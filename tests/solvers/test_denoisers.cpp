// Predictions, the dtype border, noise sources, and the exact denoisers against differences of their own densities.
#include "autodiff/ops/cast.h"
#include "autodiff/transform.h"
#include "core/random.h"
#include "solvers/correct.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

/// ln of the noisy density of a mixture of isotropic Gaussians in the plane, straight from its definition.
double log_density(const std::vector<double>& weights, const std::vector<double>& means, double variance,
                   const Level& at, double x, double y) {
  double sum = 0;
  const double v = at.alpha * at.alpha * variance + at.sigma * at.sigma;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const double dx = x - at.alpha * means[2 * k], dy = y - at.alpha * means[2 * k + 1];
    sum += weights[k] / v * std::exp(-(dx * dx + dy * dy) / (2 * v));
  }
  return std::log(sum);
}

BOOST_AUTO_TEST_SUITE(denoisers)

BOOST_AUTO_TEST_CASE(all_predictions_are_the_same_field) {
  const auto problem = mixture();
  const Tensor y = Tensor::from({0.6, -0.9, 1.1, 0.2}, {2, 2});
  for (const Level& at : {vp_linear()->level(0.3), schedule_of(R"({"type": "ve"})")->level(0.6)}) {
    const Tensor eps = as(problem, Prediction::epsilon).eps(y, at, problem.p);
    const Tensor x_0 = as(problem, Prediction::epsilon).x0(y, at, problem.p);
    for (const Prediction p : {Prediction::sample, Prediction::v, Prediction::noise, Prediction::score,
                               Prediction::flow, Prediction::edm, Prediction::edm_v}) {
      check_near(as(problem, p).eps(y, at, problem.p), eps.to_vector(), 1e-12);
      check_near(as(problem, p).x0(y, at, problem.p), x_0.to_vector(), 1e-12);
      BOOST_TEST((prediction_from(name_of(p)) == p));
    }
  }
  check_throws([] { prediction_from("v_predict"); }, {"v_predict", "v_prediction"});
}

BOOST_AUTO_TEST_CASE(clipping_and_dynamic_thresholding) {
  const Tensor x = Tensor::from({-3, -0.5, 0.25, 2, 0.1, 0.2, -0.9, 0.4}, {2, 4});
  const Level at = vp_linear()->level(0.5);
  check_near(clipping()(x, at), {-1, -0.5, 0.25, 1, 0.1, 0.2, -0.9, 0.4}, 1e-15);
  // Magnitudes 0.25, 0.5, 2, 3: the quantile 0.5 is 1.25. The second sample stays below 1.
  check_near(dynamic_thresholding(0.5)(x, at), {-1, -0.4, 0.2, 1, 0.1, 0.2, -0.9, 0.4}, 1e-15);
  check_near(dynamic_thresholding(1, 2)(x, at), {-1, -0.25, 0.125, 1, 0.1, 0.2, -0.9, 0.4}, 1e-15);
  // eps follows from the corrected x_0.
  Denoiser d = as(mixture(), Prediction::epsilon);
  const Tensor y = row_of({0.6, -9});
  d.correct = clipping(0.3);
  const auto [x_0, eps] = d.both(y, at, mixture().p);
  check_near(x_0 + at.s() * eps, y.to_vector(), 1e-12);
  check_near(d.eps(y, at, mixture().p), eps.to_vector(), 1e-14);
  const auto slope = vjp([&](const Tensors& in) { return Tensors{clipping()(in[0], at)}; }, {x})
                         .pull({Tensor::full(x.shape(), 1, DType::f64)})[0];
  check_near(slope, {0, 1, 1, 0, 1, 1, 1, 1}, 0);
  check_throws([] { dynamic_thresholding(1.5); }, {"ratio = 1.5"});
  // The quantile moves with the two entries that it lies between (at the ratio 0.4 of four: 0.8 and 0.2 of the second and third in size),
  // and not where it is held at 1 or `most`.
  for (const double ratio : {0.4, 0.5, 1.0})
    for (const double most : {2.0, 1e300}) {
      const auto total = [&](const Tensor& in) {
        return inner(dynamic_thresholding(ratio, most)(in, at), Tensor::from({3, -1, 2, 5, 1, -2, 4, 7}, {2, 4}));
      };
      const Tensor wide = Tensor::from({-3, -1.5, 1.25, 2.2, 0.1, 0.2, -0.9, 0.4}, {2, 4});
      const auto found = value_and_grad([&](const Tensors& in) { return total(in[0]); }, {wide}).second[0].to_vector();
      for (std::size_t i = 0; i < 8; ++i) {
        const auto moved = [&](double h) {
          auto values = wide.to_vector();
          values[i] += h;
          return total(Tensor::from(values, {2, 4})).item();
        };
        const double difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        BOOST_TEST(std::abs(found[i] - difference) < 1e-8,
                   "ratio " << ratio << ", most " << most << ", entry " << i << ": " << found[i] << ", " << difference);
      }
    }
}

BOOST_AUTO_TEST_CASE(the_network_sees_its_own_dtype) {
  const Level at = vp_linear()->level(0.5);
  DType seen = DType::i32;
  Denoiser d{.net = [&](const Tensor& x, const Level&, const Tensors&) { return seen = x.dtype(), x; }};
  const Tensor y = row_of({1.0 / 3, 2});
  const Tensor eps = d.eps(y, at, {});
  BOOST_TEST((seen == DType::f32 && eps.dtype() == DType::f64));
  check_near(eps, cast(cast(at.alpha * y, DType::f32), DType::f64).to_vector(), 0);
  d.net = [](const Tensor& x, const Level&, const Tensors&) { return cast(x, DType::f64); };
  check_throws([&] { return d.eps(y, at, {}); }, {"f64", "f32"});
  d.net = [](const Tensor& x, const Level&, const Tensors&) { return sum(x); };
  check_throws([&] { return d.eps(y, at, {}); }, {"()", "(1, 2)"});
}

BOOST_AUTO_TEST_CASE(ends_where_no_denoiser_exists) {
  const auto problem = mixture();
  const Level no_signal{1, 0, 1}, clean{0, 1, 0};
  check_throws([&] { return as(problem, Prediction::epsilon).x0(start_of_mixture(), no_signal, problem.p); },
               {"alpha = 0", "does not determine x_0"});
  Denoiser one{.net = [](const Tensor& x, const Level&, const Tensors&) { return x + 1.0; }, .dtype = DType::f64};
  for (const Prediction p : {Prediction::epsilon, Prediction::v}) {
    one.prediction = p;
    check_near(one.eps(row_of({2}), clean, {}), {3}, 0);
    check_near(one.x0(row_of({2}), clean, {}), {2}, 0);
  }
  for (const Prediction p : {Prediction::sample, Prediction::v, Prediction::flow}) {  // y = x / sigma = eps there
    one.prediction = p;
    check_near(one.eps(row_of({2}), no_signal, {}), {2}, 0);
    check_near(one.x0(row_of({2}), no_signal, {}),
               {p == Prediction::sample ? 3.0
                : p == Prediction::v    ? -3.0
                                        : -1.0},
               0);
  }
  for (const Prediction p : {Prediction::sample, Prediction::noise}) {
    one.prediction = p;
    check_throws([&] { return one.eps(row_of({2}), clean, {}); }, {"sigma = 0", "does not determine eps"});
  }
}

BOOST_AUTO_TEST_CASE(exact_nets_are_minus_sigma_times_the_score) {
  const std::vector<double> weights = {0.5, 0.3, 0.2}, means = {1, 0.3, -0.7, 0.9, 0.2, -1.1};
  const auto gmm = mixture();
  const auto dirac = exact_problem(Config::parse(
      R"({"family": "dirac_set", "weights": [0.5, 0.3, 0.2], "points": [[1, 0.3], [-0.7, 0.9], [0.2, -1.1]]})",
      "dirac"));
  const double x = 0.4, y = -0.1, h = 1e-3;
  for (const double t : {0.2, 0.5, 0.9}) {
    const Level at = vp_linear()->level(t);
    for (const bool points : {false, true}) {
      const auto ln_q = [&](double u, double v) { return log_density(weights, means, points ? 0 : 0.0225, at, u, v); };
      const auto slope = [&](double dx, double dy) {
        return (8 * (ln_q(x + dx, y + dy) - ln_q(x - dx, y - dy)) -
                (ln_q(x + 2 * dx, y + 2 * dy) - ln_q(x - 2 * dx, y - 2 * dy))) /
               (12 * h);
      };
      const auto& problem = points ? dirac : gmm;
      check_near(problem.net(row_of({x, y}), at, problem.p), {-at.sigma * slope(h, 0), -at.sigma * slope(0, h)}, 1e-8);
    }
  }
}

BOOST_AUTO_TEST_CASE(full_covariances) {
  const auto one = exact_problem(
      Config::parse(R"({"family": "gaussian", "mean": [1, -1], "covariance": [[2, 0.5], [0.5, 1]]})", "g"));
  const auto two = exact_problem(Config::parse(R"({"family": "gaussian_mixture", "means": [[1, -1], [1, -1]],
    "covariances": [[[2, 0.5], [0.5, 1]], [[2, 0.5], [0.5, 1]]]})",
                                               "gg"));
  const Level at{0, 0.8, 0.6};
  // alpha^2 C + sigma^2 = [[1.64, 0.32], [0.32, 1]]; its inverse times x - alpha mean = (1.2, 1.8), times sigma.
  const double det = 1.64 - 0.32 * 0.32;
  const std::vector<double> eps = {0.6 * (1.2 - 0.32 * 1.8) / det, 0.6 * (1.64 * 1.8 - 0.32 * 1.2) / det};
  check_near(one.net(row_of({2, 1}), at, one.p), eps, 1e-15);
  check_near(two.net(row_of({2, 1}), at, two.p), eps, 1e-15);
}

BOOST_AUTO_TEST_CASE(parameters_of_the_mixture) {
  // z shifts all means; theta = ln 3 makes component 0 three times as heavy.
  const auto problem = mixture();
  const Level at = vp_linear()->level(0.4);
  const Tensor x = row_of({0.3, 0.1}), z = row_of({0.2, -0.4});
  const Tensor shifted = problem.net(x + at.alpha * z, at, {z, problem.p[1]});
  check_near(shifted, problem.net(x, at, problem.p).to_vector(), 1e-14);
  const auto heavier = exact_problem(Config::parse(R"({"family": "gaussian_mixture", "weights": [1.5, 0.3, 0.2],
    "means": [[1, 0.3], [-0.7, 0.9], [0.2, -1.1]],
    "covariances": [[[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]]]})",
                                                   "heavier"));
  check_near(problem.net(x, at, {problem.p[0], Tensor::from({std::log(3)}, {1})}),
             heavier.net(x, at, heavier.p).to_vector(), 1e-14);
}

BOOST_AUTO_TEST_CASE(wrong_problems) {
  check_throws([] { exact_problem(Config::parse(R"({"family": "gausian"})", "c")); }, {"gausian", "gaussian"});
  check_throws(
      [] { exact_problem(Config::parse(R"({"family": "gaussian", "mean": [0, 0], "covariance": [1]})", "c")); },
      {"covariance", "1 numbers"});
  check_throws(
      [] {
        exact_problem(Config::parse(R"({"family": "gaussian", "mean": [0, 0], "covariance": [[1, 2], [3, 1]]})", "c"));
      },
      {"symmetric"});
  check_throws(
      [] { exact_problem(Config::parse(R"({"family": "dirac_set", "points": [[0], [1]], "weights": [1]})", "c")); },
      {"1 weights for 2"});
  const auto problem = mixture();
  check_throws([&] { problem.net(row_of({1, 2, 3}), {0, 1, 1}, problem.p); }, {"(n, 2)", "(1, 3)"});
  check_throws([&] { problem.net(row_of({1, 2}), {0, 1, 1}, {}); }, {"2 parameters", "got 0"});
}

BOOST_AUTO_TEST_CASE(noise_is_a_function_of_the_step) {
  const Tensor like = Tensor::zeros({2, 3}, DType::f32);
  const Noise fresh = fresh_noise(7, 5);
  BOOST_TEST(fresh({.step = 3}, like).to_vector() == fresh({.step = 3}, like).to_vector());
  BOOST_TEST(fresh({.step = 3}, like).to_vector() == normal_noise(7, 5, 2, 4, {3}, DType::f32).to_vector());
  BOOST_TEST(fresh({.step = 3}, like).rows(1, 1).to_vector() ==
             fresh_noise(7, 6)({.step = 3}, like.rows(0, 1)).to_vector());
  const Noise recorded = recorded_noise(Tensor::from({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {2, 2, 3}));
  const std::vector<double> first = {0, 1, 2, 3, 4, 5}, second = {6, 7, 8, 9, 10, 11};
  BOOST_TEST(recorded({.step = 4}, like).to_vector() == first);  // in the order of first requests
  BOOST_TEST(recorded({.step = 4, .part = 1}, like).to_vector() == second);
  BOOST_TEST(recorded({.step = 4}, like).to_vector() == first);
  check_throws([&] { recorded({.step = 5}, like); }, {"step 5", "draw 3", "record of 2"});
  check_throws([&] { recorded({.step = 4}, Tensor::zeros({3})); }, {"(2, 3)", "(3)"});
  check_throws([&] { no_noise()({.step = 4}, like); }, {"step 4", "fresh_noise"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
