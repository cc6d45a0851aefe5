// Multistep methods: memory, starting and ending.
#include "solvers/multistep.h"

#include <algorithm>
#include <memory>

#include "solvers/quadrature.h"

namespace costate {
namespace {

/// A denoiser that answers a second call at `at` with what the first one gave: a starting step and the memory share the
/// evaluation at the step's beginning.
Denoiser answering_once(const Denoiser& d, const Level& at) {
  Denoiser once = d;
  once.net = [net = d.net, at, known = std::make_shared<Tensor>()](const Tensor& x, const Level& level,
                                                                   const Tensors& p) {
    if (level.t != at.t || level.alpha != at.alpha || level.sigma != at.sigma) return net(x, level, p);
    if (!known->defined()) *known = net(x, level, p);
    return *known;
  };
  return once;
}

}  // namespace

std::vector<std::string> multistep_options(const std::vector<std::string>& more) {
  std::vector<std::string> all = {"starter", "starter_steps", "lower_order_final", "euler_at_final"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Ending Ending::from(const Config& options) {
  return {options.flag("lower_order_final", false), options.flag("euler_at_final", false)};
}

std::size_t Ending::values(const Step& step, std::size_t known) const {
  const std::size_t left = step.grid.size() - 1 - static_cast<std::size_t>(step.index);
  if ((euler && left == 1) || step.to().s() == step.from().s()) return 1;
  return lower_order ? std::min(known, left) : known;
}

Tensors remember(const Tensor& newest, const Tensors& before, std::size_t count) {
  Tensors all{newest};
  all.insert(all.end(), before.begin(),
             before.begin() + static_cast<std::ptrdiff_t>(std::min(before.size(), count - 1)));
  return all;
}

std::vector<double> nodes_in_lambda(const Step& step, std::size_t count) {
  const double from = step.from().lambda(), h = step.to().lambda() - from;
  std::vector<double> nodes;
  for (std::size_t k = 0; k < count; ++k) nodes.push_back((step.back(k).lambda() - from) / h);
  return nodes;
}

Weights adams(const Step& step, std::size_t count) {
  std::vector<double> nodes;
  for (std::size_t k = 0; k < count; ++k) nodes.push_back(step.back(k).s());
  Weights w;
  for (std::size_t j = 0; j < count; ++j)
    w.of.push_back(integrate([&](double s) { return lagrange(nodes, j, s); }, step.from().s(), step.to().s()));
  return w;
}

Weights pseudo_adams(const Step& step, std::size_t count) {
  static const std::vector<double> b[] = {
      {1}, {3.0 / 2, -1.0 / 2}, {23.0 / 12, -16.0 / 12, 5.0 / 12}, {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24}};
  Weights w{1, b[count - 1]};
  for (double& v : w.of) v *= step.to().s() - step.from().s();
  return w;
}

Stepper multistep(const Multistep& method, const Config& options) {
  std::optional<Stepper> starter = method.starter;
  if (const auto name = options.text("starter", ""); !name.empty()) starter = make_stepper(name);
  const auto starter_steps = options.integer("starter_steps", static_cast<std::int64_t>(method.points) - 1);
  require(starter_steps >= 0, "sampler: starter_steps = {} should not be negative", starter_steps);
  const Ending ending = Ending::from(options);
  const auto advance = [=](const Step& given, const State& state) -> State {
    const bool missing = state.memory.size() + 1 < method.points;
    const bool starting = starter && missing && given.index < starter_steps && given.to().s() > 0;
    const Denoiser denoiser = starting ? answering_once(given.denoiser, given.from()) : given.denoiser;
    const Step step = given.with(denoiser);
    const Tensors values = remember(field(method.form, step, state.y, step.from()), state.memory, method.points);
    if (starting) return {starter->advance(step, {state.y, {}}).y, values};
    std::size_t count = ending.values(step, values.size());
    if (method.polynomial_in_lambda && step.to().s() == 0) count = 1;
    return {combine(method.weights(step, count), state.y, values), values};
  };
  return {.order = std::min(method.order, starter ? starter->order + 1 : 2), .evaluations = 1, .advance = advance};
}

}  // namespace costate
