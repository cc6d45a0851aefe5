// The states at which a continuous adjoint is linearised: the sampler's own, interpolated, or solved again from x_0.
#include <algorithm>
#include <cmath>
#include <memory>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "solvers/adjoint_equation.h"

namespace costate {

DenseStates::DenseStates(const Grid& grid, std::vector<Tensor> states, std::vector<Tensor> slopes)
    : states_(std::move(states)), slopes_(std::move(slopes)) {
  for (const Level& at : grid) s_.push_back(at.s());
}

/// Of the parabola through level i and its neighbours; of the chord at an end with one neighbour only.
Tensor DenseStates::slope(std::size_t i) const {
  if (!slopes_.empty()) return slopes_[i];
  const std::size_t last = s_.size() - 1;
  if (last == 1) return lincomb(1 / (s_[1] - s_[0]), states_[1], -1 / (s_[1] - s_[0]), states_[0]);
  const std::size_t m = std::clamp<std::size_t>(i, 1, last - 1);  // the parabola's middle
  const double x = s_[i], x0 = s_[m - 1], x1 = s_[m], x2 = s_[m + 1];
  const double w0 = (2 * x - x1 - x2) / ((x0 - x1) * (x0 - x2)), w1 = (2 * x - x0 - x2) / ((x1 - x0) * (x1 - x2)),
               w2 = (2 * x - x0 - x1) / ((x2 - x0) * (x2 - x1));
  return lincomb(1, lincomb(w0, states_[m - 1], w1, states_[m]), w2, states_[m + 1]);
}

Tensor DenseStates::at(double s) const {
  std::size_t i = 1;
  while (i + 1 < s_.size() && s_[i] > s) ++i;
  const double h = s_[i] - s_[i - 1], u = (s - s_[i - 1]) / h;
  if (std::abs(u) < 1e-12) return states_[i - 1];
  if (std::abs(u - 1) < 1e-12) return states_[i];
  const Tensor chord = lincomb((1 + 2 * u) * (1 - u) * (1 - u), states_[i - 1], u * u * (3 - 2 * u), states_[i]);
  const Tensor bend = lincomb(h * u * (1 - u) * (1 - u), slope(i - 1), h * u * u * (u - 1), slope(i));
  return add(chord, bend);
}

StatesBack cached_states(const GradientProblem& problem, const Grid& grid, std::vector<Tensor> states) {
  const Grid& own = problem.sampler.grid;
  const bool same = grid.size() == own.size() &&
                    std::equal(grid.begin(), grid.end(), own.begin(), [](auto& a, auto& b) { return a.s() == b.s(); });
  if (same) {
    const auto kept = std::make_shared<std::vector<Tensor>>(std::move(states));
    return [kept](int index) {
      kept->resize(static_cast<std::size_t>(index) + 1);  // the later ones are done with
      return kept->back();
    };
  }
  return [grid, dense = DenseStates(own, std::move(states))](int index) {
    return dense.at(grid[static_cast<std::size_t>(index)].s());
  };
}

namespace {

/// One step of the SDE back on its own draw: y <- y + k ds eps - eta sqrt(s_s^2 - s_t^2) z.
Tensor step_up_with_noise(const GradientProblem& problem, int index, const Tensor& y) {
  const Sampler& sampler = problem.sampler;
  const Level &s = sampler.grid[static_cast<std::size_t>(index)],
              &t = sampler.grid[static_cast<std::size_t>(index) + 1];
  const double eta = sampler.stepper.eta;
  const Tensor eps = sampler.denoiser.eps(y, t, sampler.parameters(index, problem.p));
  const Tensor mean = lincomb(1, y, (1 + eta * eta) * (s.s() - t.s()), eps);
  const Tensor z = sampler.noise({.step = index, .part = 0, .from = s.s(), .to = t.s()}, y);
  return lincomb(1, mean, -eta * std::sqrt((s.s() - t.s()) * (s.s() + t.s())), z);
}

}  // namespace

Noise one_draw_a_step(const Sampler& sampler) {
  return
      [noise = sampler.noise, grid = sampler.grid, name = sampler.stepper.name](const Draw& draw, const Tensor& like) {
        const bool whole = draw.to == grid[static_cast<std::size_t>(draw.step) + 1].s();
        require(draw.part == 0 && !draw.area && whole,
                "adjoint: states = resolved goes back on one draw a step, and {} takes more; take states = cached, or "
                "sampler ddim with eta",
                name);
        return noise(draw, like);
      };
}

StatesBack resolved_states(const GradientProblem& problem, const Grid& grid, const Tensor& y_0,
                           const std::string& stepper) {
  const bool noisy = problem.sampler.stepper.eta > 0;
  require(!noisy || problem.adjoint_grid.empty(),
          "adjoint: states with noise are solved again on the sampler's own grid, whose draws they need; leave the "
          "adjoint's grid out, or take states = cached");
  Sampler up = problem.sampler;
  up.grid.assign(grid.rbegin(), grid.rend());
  up.stepper = make_stepper(stepper);
  require(up.stepper.eta == 0, "adjoint: resolver {} adds noise; take euler, heun or another deterministic one",
          stepper);
  // Steps up are numbered from the clean end; their parameters are those of the sampler's own interval.
  up.p_of_step = [grid, own = problem.sampler](int index, const Tensors& p) {
    const auto i = grid.size() - 1 - static_cast<std::size_t>(index);
    return own.parameters(step_at(own.grid, (grid[i].s() + grid[i - 1].s()) / 2), p);
  };
  const auto state = std::make_shared<State>(State{y_0, {}});
  const int last = static_cast<int>(grid.size()) - 1;
  return [problem, up, state, last, noisy](int index) {
    if (index == last) return state->y;
    *state =
        noisy ? State{step_up_with_noise(problem, index, state->y), {}} : up.step(last - index - 1, *state, problem.p);
    return state->y;
  };
}

}  // namespace costate
