// Observed orders of solvers on exact problems.
#include "solvers/convergence.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/scale.h"

namespace costate {
namespace {

constexpr double reference_tolerance = 1e-14;
constexpr double round_off = 3e-12;           // errors below are not used for slopes: the reference is good to 1e-12
constexpr int least_runs = 3, most_runs = 5;  // that a slope is fitted to: the finest above round-off
constexpr double most_evaluations = 5000;     // of a method that chooses its steps, before the sweep ends

double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  const auto x = a.to_vector(), y = b.to_vector();
  for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

/// Least-squares slope of -ln error in the logarithm of a member of the runs that are used.
double fitted_slope(const std::vector<Measurement>& runs, double Measurement::*cost) {
  double n = 0, sx = 0, sy = 0, xx = 0, xy = 0;
  for (const auto& run : runs) {
    if (!run.used) continue;
    const double x = std::log(run.*cost), y = -std::log(run.error);
    n += 1, sx += x, sy += y, xx += x * x, xy += x * y;
  }
  return (n * xy - sx * sy) / (n * xx - sx * sx);
}

Convergence fitted(std::vector<Measurement> runs, double Measurement::*cost) {
  Convergence c{.runs = std::move(runs)};
  for (auto run = c.runs.rbegin(); run != c.runs.rend() && c.used < most_runs; ++run) {
    run->used = run->error >= round_off && std::isfinite(run->error);
    c.used += run->used ? 1 : 0;
  }
  c.slope = c.used < least_runs ? NAN : fitted_slope(c.runs, cost);
  return c;
}

Grid uniform_grid(const Setting& setting, double s_from, double s_to, int steps) {
  const Schedule& schedule = *setting.schedule;
  const auto t_at = [&](double s) { return schedule.t_of_lambda(-std::log(s)); };
  Grid grid;
  for (int i = 0; i <= steps; ++i) {
    const double part = static_cast<double>(i) / steps;
    grid.push_back(schedule.level(setting.uniform_in_t ? t_at(s_from) + part * (t_at(s_to) - t_at(s_from))
                                                       : t_at(s_from * std::pow(s_to / s_from, part))));
  }
  return grid;
}

Sampler sampler_of(const Setting& setting, const Stepper& stepper, Grid grid) {
  return {.denoiser = {.net = setting.problem.predicting(setting.prediction),
                       .prediction = setting.prediction,
                       .dtype = DType::f64},
          .grid = std::move(grid),
          .stepper = stepper,
          .schedule = setting.schedule};
}

Measurement run_along(const Setting& setting, const Flow& flow, const Stepper& stepper, int steps) {
  Sampler sampler = sampler_of(setting, stepper, uniform_grid(setting, flow.s_from, flow.s_to, steps));
  double evaluations = 0;
  sampler.denoiser.net = [&evaluations, net = sampler.denoiser.net](const Tensor& x, const Level& at,
                                                                    const Tensors& p) {
    return ++evaluations, net(x, at, p);
  };
  const Tensor x_0 = sample(sampler, scale(flow.from, sampler.grid.front().alpha), setting.problem.p);
  const double error = largest_difference(scale(x_0, 1 / sampler.grid.back().alpha), flow.to);
  return {static_cast<double>(steps), evaluations, error};
}

/// Measures at `first`, 2 `first` ... `last` steps, and stops when two errors were below round-off.
template <class Measure>
Convergence doubling(int first, int last, Measure&& measure) {
  std::vector<Measurement> runs;
  int below = 0;
  for (int steps = first; steps <= last && below < 2; steps *= 2) {
    runs.push_back(measure(steps));
    below += runs.back().error < round_off ? 1 : 0;
  }
  return fitted(std::move(runs), &Measurement::steps);
}

}  // namespace

Flow solve_flow(const ExactProblem& problem, const Tensor& y, double s_from, double s_to) {
  // dy/dlambda = -s eps, with alpha = 1: the canonical field is the same on every schedule.
  const auto field = [&](double lambda, const Tensors& state) -> Tensors {
    const double s = std::exp(-lambda);
    return {scale(problem.net(state[0], {0, 1, s}, problem.p), -s)};
  };
  const Tolerance tolerance{.relative = reference_tolerance, .absolute = reference_tolerance, .most_steps = 100000};
  return {s_from, s_to, y,
          rk_adaptive(find_tableau("tsit5"), field, -std::log(s_from), -std::log(s_to), {y}, tolerance, 1)[0]};
}

Convergence converge(const Setting& setting, const Flow& flow, const Stepper& stepper, int first, int last) {
  return doubling(first, last, [&](int steps) { return run_along(setting, flow, stepper, steps); });
}

Convergence converge_adaptive(const Setting& setting, const Flow& flow, const std::string& sampler,
                              const Config& options) {
  std::vector<Measurement> runs;
  for (int digits = 3; digits <= 10 && (runs.empty() || runs.back().evaluations < most_evaluations); ++digits) {
    auto with_tolerance = nlohmann::json::parse(options.dump());
    with_tolerance["rtol"] = with_tolerance["atol"] = std::pow(10.0, -digits);
    runs.push_back(run_along(setting, flow, make_stepper(sampler, Config(with_tolerance, options.where())), 1));
  }
  return fitted(std::move(runs), &Measurement::evaluations);
}

Convergence converge_weakly(const Setting& setting, Moments data, double s_from, double s_to, const Stepper& stepper,
                            int first, int last) {
  return doubling(first, last, [&](int steps) -> Measurement {
    const Sampler sampler = sampler_of(setting, stepper, uniform_grid(setting, s_from, s_to, steps));
    const Moments end = sampled_moments(sampler, setting.problem.p, {data.mean, data.variance + s_from * s_from});
    const double error = std::abs(end.mean - data.mean) + std::abs(end.variance - data.variance - s_to * s_to);
    return {static_cast<double>(steps), static_cast<double>(steps) * stepper.evaluations, error};
  });
}

Convergence converge_strongly(const Setting& setting, Moments data, double s_from, double s_to, const Stepper& stepper,
                              int first, int last) {
  return doubling(first, last, [&](int steps) -> Measurement {
    const auto sampler = [&](int n) { return sampler_of(setting, stepper, uniform_grid(setting, s_from, s_to, n)); };
    const double distance =
        strong_distance(sampler(steps), sampler(2 * steps), setting.problem.p, data.variance + s_from * s_from);
    return {static_cast<double>(steps), static_cast<double>(steps) * stepper.evaluations, distance};
  });
}

}  // namespace costate
