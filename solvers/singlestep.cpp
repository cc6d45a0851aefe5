// One step of DPM-Solver-1, -2, -3 and DPM-Solver++(2S), (3S), and how steps of mixed order spend a budget.
#include "solvers/singlestep.h"

#include <algorithm>
#include <cmath>

#include "solvers/stochastic.h"

namespace costate {
namespace {

struct Choice {
  Singlestep method;
  std::string inner;
  int budget = 0;
  double eta = 0;
};

/// Orders of all steps that use `budget` evaluations (Lu et al. 2022, appendix D.4: "DPM-Solver-fast").
std::vector<int> orders_within(int order, int budget) {
  std::vector<int> orders(static_cast<std::size_t>(singlestep_steps(order, budget)), order);
  if (order == 3 && budget % 3 == 0 && orders.size() > 1) orders[orders.size() - 2] = 2;
  if (order == 3) orders.back() = budget % 3 == 0 ? 1 : budget % 3;
  if (order == 2 && budget % 2 == 1) orders.back() = 1;
  return orders;
}

/// The method of the step to `to`: its order, and r1 and r2 where equal parts of another clock decide them.
Singlestep settle(const Choice& choice, const Step& step, const Level& to) {
  Singlestep m = choice.method;
  if (choice.budget > 0) {
    const auto orders = orders_within(m.order, choice.budget);
    require(orders.size() == step.grid.size() - 1,
            "sampler: a budget of {} evaluations at order {} is for a grid of {} steps, not {}", choice.budget, m.order,
            orders.size(), step.grid.size() - 1);
    const int order = orders[static_cast<std::size_t>(step.index)];
    if (order == 2 && m.order == 3) m.r1 = 0.5;
    m.order = order;
  }
  const Level& from = step.from();
  if (choice.inner == "lambda" || m.order == 1 || to.s() == 0) return m;
  const double h = to.lambda() - from.lambda();
  const auto part = [&](int k) {
    const double u = static_cast<double>(k) / m.order;
    const double root = std::sqrt(from.t) + u * (std::sqrt(to.t) - std::sqrt(from.t));
    const double t = choice.inner == "t" ? from.t + u * (to.t - from.t) : root * root;
    return (step.at_t(t).lambda() - from.lambda()) / h;
  };
  m.r1 = part(1);
  m.r2 = part(2);
  return m;
}

/// With eta > 0 the step goes below its level, though never below the grid's last, and noise leads back up.
State advance(const Choice& choice, const Step& step, const State& state) {
  const double end = step.to().s();
  const double down =
      choice.eta == 0 ? end : std::max(ancestral(step.from().s(), end, choice.eta).down, step.grid.back().s());
  const Level to = down == end ? step.to() : step.at_lambda(-std::log(down));
  Tensors values;
  const Tensor y = singlestep(settle(choice, step, to), step, state.y, step.from(), to, values);
  return {add_noise(step, y, std::sqrt((end - down) * (end + down))), {}};
}

}  // namespace

/// With m_0 at u = 0, m_1 at r1, m_2 at r2 and the moments M_k of exponential.h:
///   order 2   M_0 m_0 + M_0 / 2 (m_1 - m_0) / r1                        exact: M_1 in place of M_0 / 2
///   order 3   M_0 m_0 + M_1 (m_2 - m_0) / r2, m_2 from M_0, M_1 of its own step     exact: the parabola through all three
Tensor singlestep(const Singlestep& m, const Step& step, const Tensor& y, const Level& from, const Level& to,
                  Tensors& values) {
  const auto value = [&](std::size_t k, const Level& at, const auto& state) {
    if (values.size() <= k) values.push_back(field(m.form, step, state(), at));
    return values[k];
  };
  const Tensor m0 = value(0, from, [&] { return y; });
  if (m.order == 1 || to.s() == 0) return combine(moments(m.form, from, to, 1), y, {m0});

  const double lambda = from.lambda(), h = to.lambda() - lambda;
  const Level at1 = step.at_lambda(lambda + m.r1 * h);
  const Tensor m1 = value(1, at1, [&] { return combine(moments(m.form, from, at1, 1), y, {m0}); });
  if (m.order == 2) {
    Weights w = moments(m.form, from, to, m.exact ? 2 : 1);
    if (!m.exact) w.of.push_back(w.of[0] / 2);
    return combine(interpolate(w, {0, m.r1}), y, {m0, m1});
  }
  const Level at2 = step.at_lambda(lambda + m.r2 * h);
  const Tensor m2 = value(2, at2, [&] {
    return combine(interpolate(moments(m.form, from, at2, 2), {0, m.r1 / m.r2}), y, {m0, m1});
  });
  if (!m.exact) return combine(interpolate(moments(m.form, from, to, 2), {0, m.r2}), y, {m0, m2});
  return combine(interpolate(moments(m.form, from, to, 3), {0, m.r1, m.r2}), y, {m0, m1, m2});
}

int singlestep_steps(int order, int budget) {
  return order == 3 ? budget / 3 + 1 : order == 2 ? (budget + 1) / 2 : budget;
}

std::vector<std::string> singlestep_options(int order) {
  std::vector<std::string> all = {"r1", "inner", "weights", "budget", "eta"};
  if (order == 3) all.emplace_back("r2");
  return all;
}

Stepper make_singlestep(Form form, int order, const Config& options) {
  require(order == 3 || !options.has("r2"), "sampler: r2 is for methods of order 3, and this one is of order {}",
          order);
  Choice choice{.method = {.form = form,
                           .order = order,
                           .r1 = options.number("r1", 1.0 / order),
                           .r2 = options.number("r2", 2.0 / 3),
                           .exact = options.choice("weights", "published", {"published", "exact"}) == "exact"},
                .inner = options.choice("inner", "lambda", {"lambda", "t", "quadratic"}),
                .budget = static_cast<int>(options.integer("budget", 0)),
                .eta = eta_from(options, 0)};
  const Singlestep& m = choice.method;
  require(order == 1 || (m.r1 > 0 && m.r1 < 1), "sampler: r1 = {} should be between 0 and 1", m.r1);
  require(order < 3 || (m.r2 > m.r1 && m.r2 <= 1), "sampler: r2 = {} should be between r1 = {} and 1", m.r2, m.r1);
  require(choice.budget >= 0, "sampler: budget = {} evaluations", choice.budget);
  // the slope through m_2 alone is of order 3 at r2 = 2/3 only, where its error in u^2 vanishes
  const bool is_third = m.exact || m.r2 == 2.0 / 3;
  return {.order = choice.eta > 0 ? 1
                   : is_third     ? order
                                  : std::min(order, 2),
          .evaluations = order,
          .eta = choice.eta,
          .fresh = choice.eta,
          .advance = [choice](const Step& step, const State& state) { return advance(choice, step, state); }};
}

}  // namespace costate
