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

/// What a method of this kind is made of.
struct Method {
  Control control;
  int order;
  TrialStep trial;
  DenseOutput dense;
};

/// Where the accepted steps have come to, and the last of them, from `first`.
struct Walk {
  Level at;
  Tensor y, before;  ///< before: the lower estimate, in x
  Memory memory;
  Level first = {};
  Tensor y_first = {};
  Tensors slopes = {};
};

/// Steps until lambda = to; the last one may go on, as far as the level `limit`.
void go(const Method& method, const Step& step, double to, const Level& limit, Walk& w) {
  Level next;
  Trial found;
  const double end = limit.lambda();
  run({.from = w.at.lambda(),
       .to = to,
       .limit = end,
       .first = w.memory.h,
       .close = close,
       .least = 1e-12,
       .trial =
           [&](double, double lambda) {
             next = lambda == end ? limit : step.at_lambda(lambda);
             found = method.trial(step, w.y, w.at, next);
             return error_of(found, w.before, next.alpha, method.control);
           },
       .decide =
           [&](double error, double used, double& size) {
             const bool taken = decide(method.control, method.order, error, used, w.memory);
             size = w.memory.h;
             return taken;
           },
       .accept =
           [&](double) {
             w.first = w.at, w.y_first = w.y, w.slopes = found.slopes;
             w.before = scale(found.lower, next.alpha);
             w.y = found.y;
             w.at = next;
           },
       .stuck = [&](const char* what, double) { fail("sampler: {} at t = {}; loosen rtol and atol", what, w.at.t); }});
}

Tensor row_of(const std::vector<double>& numbers) {
  return Tensor::from(numbers, {static_cast<std::int64_t>(numbers.size())}, DType::f64);
}

/// State::memory is {before, {h, inverse errors ...}}.
State advance(const Method& method, const Step& step, const State& state) {
  Walk w{step.from(), state.y, {}, {method.control.h_init}};
  if (state.memory.empty()) {
    w.before = scale(state.y, w.at.alpha);
  } else {
    w.before = state.memory[0];
    const auto v = stop_gradient(state.memory[1]).to_vector();
    w.memory = {v[0], {v.begin() + 1, v.end()}};
  }
  go(method, step, step.to().lambda(), step.to(), w);
  std::vector<double> numbers{w.memory.h};
  numbers.insert(numbers.end(), w.memory.inverse.begin(), w.memory.inverse.end());
  return {w.y, {w.before, row_of(numbers)}};
}

/// State::memory is {before, {first, at (t, alpha, sigma each), h, inverse errors ...}, y at `first`, y at `at`, slopes ...}.
State advance_dense(const Method& method, const Step& step, const State& state) {
  const double goal = step.to().lambda();
  require(goal > step.from().lambda(), "sampler: dense output goes from noise to data; leave it out to encode");
  Walk w{step.from(), state.y, {}, {method.control.h_init}, step.from(), state.y};
  if (state.memory.empty()) {
    w.before = scale(state.y, w.at.alpha);
  } else {
    const auto v = stop_gradient(state.memory[1]).to_vector();
    w = {{v[3], v[4], v[5]},
         state.memory[3],
         state.memory[0],
         {v[6], {v.begin() + 7, v.end()}},
         {v[0], v[1], v[2]},
         state.memory[2],
         {state.memory.begin() + 4, state.memory.end()}};
  }
  const auto end = std::find_if(step.grid.rbegin(), step.grid.rend(), [](const Level& at) { return at.s() > 0; });
  if (w.at.lambda() < goal) go(method, step, goal, *end, w);
  std::vector<double> numbers{w.first.t, w.first.alpha, w.first.sigma, w.at.t, w.at.alpha, w.at.sigma, w.memory.h};
  numbers.insert(numbers.end(), w.memory.inverse.begin(), w.memory.inverse.end());
  Tensors memory{w.before, row_of(numbers), w.y_first, w.y};
  memory.insert(memory.end(), w.slopes.begin(), w.slopes.end());
  const double first = w.first.lambda(), last = w.at.lambda(), h = last - first;
  return {goal >= last ? w.y : method.dense((goal - first) / h, h, w.y_first, w.slopes), memory};
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

Stepper adaptive(const Control& control, int order, TrialStep trial, DenseOutput dense) {
  return {.order = order,
          .evaluations = 0,
          .batching = Batching::one_by_one,
          .advance = [method = Method{control, order, std::move(trial), std::move(dense)}](
                         const Step& step, const State& state) -> State {
            if (step.to().s() == 0) return {step.denoiser.x0(state.y, step.from(), step.p), {}};
            if (step.from().s() == 0)  // infinite in lambda: Euler's
              return {lincomb(1, state.y, step.to().s(), step.denoiser.eps(state.y, step.from(), step.p)), {}};
            return method.dense ? advance_dense(method, step, state) : advance(method, step, state);
          }};
}

}  // namespace costate
