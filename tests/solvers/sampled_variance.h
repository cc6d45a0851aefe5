// The exact variance of what a linear sampler makes of Gaussian data.
#pragma once

#include "tests/solvers/problems.h"

namespace costate {

/// Variance at the clean end of samples of N(0, 0.25), started with the true variance, on a lambda grid. Every method is
/// linear there: the state and its memory, as one vector, go to M (y, memory) + w z (+ w_2 z_2), and columns of M and the w are read off
/// by running the step on unit vectors. `net` predicts eps in place of the exact one.
inline double sampled_variance(const std::string& stepper, int steps, const std::string& options = "{}",
                               const Net& net = {}) {
  const auto problem = normal(0.25);
  Sampler sampler = sampler_of(problem, stepper, make_grid("lambda", *vp_linear(), steps), options, vp_linear());
  if (net) sampler.denoiser.net = net;
  // `which` draw of the step gives 1: part 0 or 1, or its area; all others give 0.
  const auto step_of = [&](int i, const std::vector<double>& in, int which) {
    sampler.noise = [which](const Draw& draw, const Tensor& like) {
      return Tensor::full(like.shape(), (draw.area ? 2 : draw.part) == which ? 1 : 0, like.dtype());
    };
    State state{row_of({in[0]}), {}};
    for (std::size_t k = 1; k < in.size(); ++k) state.memory.push_back(row_of({in[k]}));
    const State next = sampler.step(i, state, problem.p);
    std::vector<double> out{next.y.item()};
    for (const auto& m : next.memory) out.push_back(m.item());
    return out;
  };
  const Level& first = sampler.grid.front();
  std::vector<std::vector<double>> covariance{{0.25 + first.s() * first.s()}};  // of y = x / alpha, then memory
  for (int i = 0; i < steps; ++i) {
    const std::size_t n = covariance.size();
    const std::vector<double> zero(n, 0);
    const std::vector<std::vector<double>> noise{step_of(i, zero, 0), step_of(i, zero, 1), step_of(i, zero, 2)};
    std::vector<std::vector<double>> columns, next(noise[0].size(), std::vector<double>(noise[0].size()));
    for (std::size_t k = 0; k < n; ++k) {
      std::vector<double> unit(n, 0);
      unit[k] = 1;
      columns.push_back(step_of(i, unit, -1));
    }
    for (std::size_t a = 0; a < next.size(); ++a)
      for (std::size_t b = 0; b < next.size(); ++b) {
        for (const auto& n : noise) next[a][b] += n[a] * n[b];
        for (std::size_t k = 0; k < n; ++k)
          for (std::size_t l = 0; l < n; ++l) next[a][b] += columns[k][a] * covariance[k][l] * columns[l][b];
      }
    covariance = next;
  }
  return std::pow(sampler.grid.back().alpha, 2) * covariance[0][0];
}

}  // namespace costate
