// What the tests of solvers/ share: schedules from text, the mixture of the regression values, samplers put together.
#pragma once

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/sum.h"
#include "solvers/adjoint.h"
#include "solvers/exact.h"

namespace costate {

inline SchedulePtr schedule_of(const std::string& json) { return schedule_from(Config::parse(json, "test")); }

/// VP-linear from t = 1 to t_min.
inline SchedulePtr vp_linear(double t_min = 1e-3) {
  return schedule_of(R"({"type": "vp_linear", "t_min": )" + std::to_string(t_min) + "}");
}

/// Three components with standard deviation 0.15 in the plane: the problem of all regression values.
inline ExactProblem mixture(Device device = Device::cpu) {
  return exact_problem(Config::parse(R"({"family": "gaussian_mixture", "weights": [0.5, 0.3, 0.2],
    "means": [[1, 0.3], [-0.7, 0.9], [0.2, -1.1]],
    "covariances": [[[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]]]})",
                                     "mixture"),
                       device);
}

/// N(0, variance) on the line.
inline ExactProblem normal(double variance) {
  return exact_problem(Config::parse(
      R"({"family": "gaussian", "mean": [0], "covariance": [[)" + std::to_string(variance) + "]]}", "normal"));
}

/// A problem's denoiser, with its net turned into one of another prediction.
inline Denoiser as(const ExactProblem& problem, Prediction p) {
  return {.net = problem.predicting(p), .prediction = p, .dtype = DType::f64};
}

/// A stepper with its options as JSON.
inline Stepper stepper_of(const std::string& name, const std::string& options = "{}") {
  return make_stepper(name, Config::parse(options, "test"));
}

inline Sampler sampler_of(const ExactProblem& problem, const std::string& stepper, const Grid& grid,
                          const std::string& options = "{}", const SchedulePtr& schedule = vp_linear()) {
  return {.denoiser = {.net = problem.net, .prediction = Prediction::epsilon, .dtype = DType::f64},
          .grid = grid,
          .stepper = stepper_of(stepper, options),
          .schedule = schedule};
}

inline Tensor row_of(const std::vector<double>& values) {
  return Tensor::from(values, {1, static_cast<std::int64_t>(values.size())});
}

inline Tensor start_of_mixture() { return row_of({0.6, -0.9}); }

/// |x - (0.1, 0.2)|^2 / 2
inline Tensor half_square_distance(const Tensor& x) {
  const Tensor off = x - row_of({0.1, 0.2});
  return 0.5 * inner(off, off);
}

inline void check_near(const Tensor& found, const std::vector<double>& expected, double tolerance) {
  const auto values = found.to_vector();
  BOOST_REQUIRE_EQUAL(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    BOOST_TEST(std::abs(values[i] - expected[i]) <= tolerance, values[i] << " against " << expected[i]);
}

/// That `action` throws an Error whose message holds every one of `parts`.
template <class Action>
void check_throws(Action&& action, const std::vector<std::string>& parts) {
  try {
    static_cast<void>(action());
    BOOST_ERROR("nothing was thrown");
  } catch (const Error& e) {
    for (const auto& part : parts)
      BOOST_TEST(std::string(e.what()).find(part) != std::string::npos, "'" << part << "' is not in: " << e.what());
  }
}

}  // namespace costate
