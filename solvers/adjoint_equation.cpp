// The continuous adjoint: its field, its levels, and what is said about grids and results that do not fit.
#include "solvers/adjoint_equation.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/transform.h"

namespace costate {
namespace {

constexpr double same_clock = 1e-12;  // relative: two values of s are one level

bool same_s(double a, double b) { return std::abs(a - b) <= same_clock * std::max(std::abs(a), std::abs(b)); }

bool same_levels(const Grid& a, const Grid& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const Level& u, const Level& v) { return same_s(u.s(), v.s()); });
}

}  // namespace

Cotangent pull_own(const GradientProblem& problem, Reading reading, int index, const Level& at, const Tensor& y,
                   const Tensor& a, Tensor* value) {
  const Tensors own = problem.sampler.parameters(index, problem.p);
  Tensors in{y};
  in.insert(in.end(), own.begin(), own.end());
  Wanted wanted{true};
  wanted.insert(wanted.end(), problem.wrt_p.begin(), problem.wrt_p.end());
  const Vjp field = vjp(
      [&](const Tensors& t) {
        return Tensors{(problem.sampler.denoiser.*reading)(t[0], at, Tensors(t.begin() + 1, t.end()))};
      },
      in, wanted);
  if (value != nullptr) *value = field.value[0];
  ++problem.effort->vjps;
  Tensors g = field.pull_once({a});
  return {g[0], Tensors(g.begin() + 1, g.end())};
}

Tensors pull_schedule(const GradientProblem& problem, int index, const Tensors& own) {
  if (!problem.sampler.p_of_step) return own;
  return vjp([&](const Tensors& p) { return problem.sampler.parameters(index, p); }, problem.p, problem.wrt_p)
      .pull_once(own);
}

Cotangent pull_field(const GradientProblem& problem, Reading reading, int index, const Level& at, const Tensor& y,
                     const Tensor& a, Tensor* value) {
  const Cotangent own = pull_own(problem, reading, index, at, y, a, value);
  return {own.y, pull_schedule(problem, index, own.p)};
}

int step_at(const Grid& grid, double s) {
  const auto below = std::find_if(grid.begin() + 1, grid.end() - 1, [&](const Level& at) { return at.s() < s; });
  return static_cast<int>(below - grid.begin()) - 1;
}

Level level_at(const Sampler& sampler, double s) {
  for (const Level& at : sampler.grid) {
    if (at.alpha > 0 && same_s(at.s(), s)) return at;
  }
  require(sampler.schedule != nullptr,
          "adjoint: a level between the grid's is needed, at sigma / alpha = {}; give "
          "Sampler::schedule",
          s);
  const Schedule& schedule = *sampler.schedule;
  const double t = std::clamp(schedule.t_of_lambda(-std::log(s)), schedule.t_min, schedule.t_max);
  const double alpha = schedule.alpha(t);
  return {t, alpha, s * alpha};  // next to the clean end of a discrete schedule, t stays at its first index
}

Grid adjoint_levels(const GradientProblem& problem, const std::string& name) {
  const Grid& own = problem.sampler.grid;
  require(own.front().alpha > 0,
          "{}: the clock sigma / alpha is infinite at the first level (alpha = 0); take checkpointed", name);
  if (problem.adjoint_grid.empty() || same_levels(problem.adjoint_grid, own)) return own;
  check_grid(problem.adjoint_grid, name + ", grid of the adjoint");
  const Level &first = problem.adjoint_grid.front(), &last = problem.adjoint_grid.back();
  require(same_s(first.s(), own.front().s()) && same_s(last.s(), own.back().s()),
          "{}: the adjoint's grid goes from sigma / alpha = {} to {}, the sampler's from {} to {}; let the ends be the "
          "same",
          name, first.s(), last.s(), own.front().s(), own.back().s());
  require(!problem.running, "{}: a running cost has its levels on the sampler's grid; leave the adjoint's grid out",
          name);
  return problem.adjoint_grid;
}

void require_ode_or_sde(const GradientProblem& problem, const std::string& name) {
  require(problem.sampler.stepper.solves_sde,
          "{}: the steps of {} are not those of the ODE or of a reverse SDE (churn, Langevin steps), whose adjoint "
          "this is; "
          "take checkpointed, or sampler ddim with eta",
          name, problem.sampler.stepper.name);
}

void require_ode(const GradientProblem& problem, const std::string& name) {
  require_ode_or_sde(problem, name);
  require(problem.sampler.stepper.eta == 0,
          "{}: is for the probability-flow ODE, and {} with eta = {} adds noise; take adjointdeis-1, adjointdeis-2m or "
          "checkpointed",
          name, problem.sampler.stepper.name, problem.sampler.stepper.eta);
}

std::string stiffness_warning(const std::string& name, const Grid& grid) {
  std::size_t worst = 0, count = 0, finite = grid.size() - 1;
  double longest = std::log(2.0);
  while (finite > 0 && grid[finite].sigma == 0) --finite;
  for (std::size_t i = 0; i < finite; ++i) {
    const double h = grid[i + 1].lambda() - grid[i].lambda();
    if (h > std::log(2.0)) ++count;
    if (h > longest * (1 + 1e-9)) longest = h, worst = i + 1;
  }
  if (worst == 0) return {};
  const double enough = std::ceil((grid[finite].lambda() - grid[0].lambda()) / std::log(2.0));
  return fmt::format(
      "{}: {} of {} steps are longer than ln 2 in lambda; across the data manifold an explicit Euler step of the "
      "adjoint as "
      "long as the longest, |h| = {:.2f} from t = {:.4g} to {:.4g}, multiplies by 2 - e^|h| = {:.3g}, where the truth "
      "is "
      "{:.2g}. Take checkpointed, or a grid uniform in lambda with {:.0f} steps or more",
      name, count, grid.size() - 1, longest, grid[worst].t, grid[worst - 1].t, 2 - std::exp(longest),
      std::exp(-longest), enough);
}

void add_running(const GradientProblem& problem, int index, const Tensor& y, Cotangent& a) {
  if (!problem.running || index >= problem.sampler.steps()) return;
  const auto cost = [&](const Tensors& in) { return problem.running(index, problem.sampler.x_at(index, {in[0], {}})); };
  a.y = add(a.y, value_and_grad(cost, {y}).second[0]);
}

}  // namespace costate
