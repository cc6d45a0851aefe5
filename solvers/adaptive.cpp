// The loop over trial steps, and the two controllers.
#include "solvers/adaptive.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "autodiff/transform.h"
#include "solvers/step_loop.h"

namespace costate {
namespace {

constexpr double close = 1e-5;  // in lambda: what is left of an interval that counts as nothing

/// What the controller knows: the step size, and the inverse errors of the last accepted steps (empty at first).
struct Memory {
  double h;
  std::vector<double> inverse = {};
};

/// rms per sample of (y - lower) / delta, in x = scale * y: the largest, or over the whole batch.
double error_of(const Trial& trial, const Tensor& before, double alpha, const Control& control) {
  const auto y = stop_gradient(trial.y).to_vector(), low = stop_gradient(trial.lower).to_vector(),
             old = stop_gradient(before).to_vector();
  const auto row = y.size() / static_cast<std::size_t>(std::max<std::int64_t>(trial.y.dim(0), 1));
  double sum = 0, all = 0, worst = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double reach = std::max(std::abs(alpha * low[i]), std::abs(old[i]));
    const double e = alpha * (y[i] - low[i]) / std::max(control.atol, control.rtol * reach);
    sum += e * e, all += e * e;
    if ((i + 1) % row == 0) worst = std::max(worst, sum), sum = 0;
  }
  return control.pid ? std::sqrt(all / static_cast<double>(y.size())) : std::sqrt(worst / static_cast<double>(row));
}

/// Decides on a step of size `used` and proposes the next.
bool decide(const Control& c, int order, double error, double used, Memory& m) {
  require(std::isfinite(error), "sampler: the error of an adaptive step is not finite");
  if (!c.pid) {
    m.h = used * 0.9 * std::pow(std::max(error, 1e-30), -1.0 / order);
    return error <= 1;
  }
  const double inverse = 1 / (error + 1e-8);
  if (m.inverse.empty()) m.inverse = {inverse, inverse, inverse};
  m.inverse[0] = inverse;
  const double factor = std::pow(m.inverse[0], (c.pcoeff + c.icoeff + c.dcoeff) / order) *
                        std::pow(m.inverse[1], -(c.pcoeff + 2 * c.dcoeff) / order) *
                        std::pow(m.inverse[2], c.dcoeff / order);
  const double limited = 1 + std::atan(factor - 1);
  const bool accept = limited >= 0.81;
  if (accept) m.inverse[2] = m.inverse[1], m.inverse[1] = m.inverse[0];
  m.h *= limited;
  return accept;
}

/// State::memory is {the lower estimate in x, {h, inverse errors...}}.
Memory recall(const Control& control, const State& state) {
  if (state.memory.empty()) return {control.h_init};
  const auto v = stop_gradient(state.memory[1]).to_vector();
  return {v[0], {v.begin() + 1, v.end()}};
}

State advance(const Control& control, int order, const TrialStep& trial, const Step& step, const State& state) {
  if (step.to().s() == 0) return {step.denoiser.x0(state.y, step.from(), step.p), {}};
  if (step.from().s() == 0)  // infinite in lambda: Euler's
    return {lincomb(1, state.y, step.to().s(), step.denoiser.eps(state.y, step.from(), step.p)), {}};
  Memory memory = recall(control, state);
  Tensor y = state.y, before = state.memory.empty() ? scale(y, step.from().alpha) : state.memory[0];
  Level at = step.from(), next = at;
  Trial found;
  const double end = step.to().lambda();
  run({.from = at.lambda(),
       .to = end,
       .first = memory.h,
       .close = close,
       .least = 1e-12,
       .trial =
           [&](double, double lambda) {
             next = lambda == end ? step.to() : step.at_lambda(lambda);
             found = trial(step, y, at, next);
             return error_of(found, before, next.alpha, control);
           },
       .decide =
           [&](double error, double used, double& size) {
             const bool taken = decide(control, order, error, used, memory);
             size = memory.h;
             return taken;
           },
       .accept =
           [&](double) {
             before = scale(found.lower, next.alpha);
             y = found.y;
             at = next;
           },
       .stuck = [&](const char* what, double) { fail("sampler: {} at t = {}; loosen rtol and atol", what, at.t); }});
  std::vector<double> numbers{memory.h};
  numbers.insert(numbers.end(), memory.inverse.begin(), memory.inverse.end());
  const auto count = static_cast<std::int64_t>(numbers.size());
  return {y, {before, Tensor::from(numbers, {count}, DType::f64)}};
}

}  // namespace

std::vector<std::string> control_options(const std::vector<std::string>& more) {
  std::vector<std::string> all = {"rtol", "atol", "h_init", "controller", "pcoeff", "icoeff", "dcoeff"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Control control_from(const Config& options, const Control& otherwise) {
  const Control c{.rtol = options.number("rtol", otherwise.rtol),
                  .atol = options.number("atol", otherwise.atol),
                  .h_init = options.number("h_init", otherwise.h_init),
                  .pid = options.choice("controller", "pid", {"pid", "original"}) == "pid",
                  .pcoeff = options.number("pcoeff", otherwise.pcoeff),
                  .icoeff = options.number("icoeff", otherwise.icoeff),
                  .dcoeff = options.number("dcoeff", otherwise.dcoeff)};
  require(c.rtol >= 0 && c.atol > 0 && c.h_init > 0,
          "sampler: wants rtol >= 0, atol > 0 and h_init > 0, got {}, {}, {}", c.rtol, c.atol, c.h_init);
  return c;
}

Stepper adaptive(const Control& control, int order, TrialStep trial) {
  return {.order = order,
          .evaluations = 0,
          .batching = Batching::one_by_one,
          .advance = [control, order, trial = std::move(trial)](const Step& step, const State& state) {
            return advance(control, order, trial, step, state);
          }};
}

}  // namespace costate
