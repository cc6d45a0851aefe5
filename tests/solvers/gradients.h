// Gradients on the mixture, by name of the adjoint, and how far apart two of them are.
#pragma once

#include "tests/solvers/problems.h"

namespace costate {

inline constexpr double t_0 = 1e-2;

inline Sampler on_mixture(const ExactProblem& problem, const std::string& stepper, int steps,
                          const std::string& grid = "lambda", const std::string& options = "{}") {
  Sampler sampler = sampler_of(problem, stepper, make_grid(grid, *vp_linear(t_0), steps), options);
  sampler.schedule = vp_linear(t_0);
  sampler.noise = fresh_noise(7, 0);
  return sampler;
}

inline GradientProblem problem_of(const Sampler& sampler, const ExactProblem& problem) {
  return {.sampler = sampler,
          .x_T = start_of_mixture(),
          .p = problem.p,
          .wrt_p = Wanted(problem.p.size(), true),
          .loss = half_square_distance};
}

inline Gradient gradient_of(const std::string& adjoint, const Sampler& sampler, const ExactProblem& problem,
                            const std::string& options = "{}") {
  return make_adjoint(adjoint, Config::parse(options, "test")).gradient(problem_of(sampler, problem));
}

inline std::vector<double> flat(const Gradient& g) {
  std::vector<double> all = g.x_T.to_vector();
  for (const auto& p : g.p) {
    const auto v = p.to_vector();
    all.insert(all.end(), v.begin(), v.end());
  }
  return all;
}

/// Largest difference over all entries, relative to the largest entry.
inline double distance(const Gradient& a, const Gradient& b) {
  const auto u = flat(a), v = flat(b);
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    worst = std::max(worst, std::abs(u[i] - v[i]));
    largest = std::max(largest, std::abs(v[i]));
  }
  return worst / largest;
}

}  // namespace costate
