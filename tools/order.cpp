// Observed orders of solvers on exact problems.
#include "tools/order.h"

#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/scale.h"

namespace costate {
namespace {

constexpr int reference_steps = 4000;  // RK4: a lambda range of 8 leaves errors below 1e-12
constexpr double round_off = 3e-12;    // errors below are not used for slopes

double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  const auto x = a.to_vector(), y = b.to_vector();
  for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

/// Least-squares slope of y in x.
double slope_of(const std::vector<double>& x, const std::vector<double>& y) {
  double n = 0, sx = 0, sy = 0, xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) n += 1, sx += x[i], sy += y[i], xx += x[i] * x[i], xy += x[i] * y[i];
  return (n * xy - sx * sy) / (n * xx - sx * sx);
}

}  // namespace

Flow solve_flow(const ExactProblem& problem, const Tensor& y, double s_from, double s_to) {
  const double h = std::log(s_from / s_to) / reference_steps;
  // dy/dlambda = -s eps, with alpha = 1: the canonical field is the same on every schedule.
  const auto field = [&](const Tensor& at, double s) { return -s * problem.net(at, {0, 1, s}, problem.p); };
  Tensor at = y;
  for (int i = 0; i < reference_steps; ++i) {
    const double s = s_from * std::exp(-h * i), middle = s * std::exp(-h / 2), next = s * std::exp(-h);
    const Tensor k1 = field(at, s), k2 = field(at + (h / 2) * k1, middle), k3 = field(at + (h / 2) * k2, middle),
                 k4 = field(at + h * k3, next);
    at = at + (h / 6) * (k1 + 2.0 * (k2 + k3) + k4);
  }
  return {s_from, s_to, y, at};
}

Convergence converge(const ExactProblem& problem, const Flow& flow, const SchedulePtr& schedule, Prediction prediction,
                     const Stepper& stepper, int first, int last) {
  std::int64_t evaluations = 0;
  const Net counted = [&evaluations, net = problem.predicting(prediction)](
                          const Tensor& x, const Level& at, const Tensors& p) { return ++evaluations, net(x, at, p); };
  Sampler sampler{.denoiser = {.net = counted, .prediction = prediction, .dtype = DType::f64},
                  .grid = {},
                  .stepper = stepper,
                  .schedule = schedule};
  Convergence c;
  std::vector<double> u, v;
  for (int steps = first; steps <= last; steps *= 2) {
    sampler.grid.clear();
    for (int i = 0; i <= steps; ++i) {
      const double lambda = -std::log(flow.s_from) - std::log(flow.s_to / flow.s_from) * i / steps;
      sampler.grid.push_back(schedule->level(schedule->t_of_lambda(lambda)));
    }
    evaluations = 0;
    const Level &start = sampler.grid.front(), &end = sampler.grid.back();
    const Tensor x_0 = sample(sampler, scale(flow.from, start.alpha), problem.p);
    const double error = largest_difference(scale(x_0, 1 / end.alpha), flow.to);
    c.steps.push_back(steps);
    c.evaluations.push_back(static_cast<double>(evaluations));
    c.errors.push_back(error);
    if (error < round_off) break;
    u.push_back(std::log(steps)), v.push_back(-std::log(error));
  }
  c.used = static_cast<int>(u.size());
  c.slope = u.size() < 2 ? NAN : slope_of(u, v);
  return c;
}

}  // namespace costate
