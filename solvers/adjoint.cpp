// What all adjoints share: finding one by name, checks, counting, and the two ends of the way back.
#include "solvers/adjoint.h"

#include <algorithm>

#include "autodiff/transform.h"

namespace costate {

const Adjoint& find_adjoint(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& adjoint : adjoints()) {
    if (adjoint.name == name) return adjoint;
    names.push_back(adjoint.name);
  }
  fail_unknown("adjoint", name, names);
}

Gradient solve(const GradientProblem& problem,
               const std::function<void(const GradientProblem&, const Sampler&, Gradient&)>& method) {
  require(problem.loss != nullptr, "gradient: no loss was given");
  require(problem.wrt_p.empty() || problem.wrt_p.size() == problem.p.size(),
          "gradient: {} flags in wrt_p for {} parameters", problem.wrt_p.size(), problem.p.size());
  GradientProblem full = problem;
  full.wrt_p.resize(problem.p.size(), false);
  full.loss = [&problem](const Tensor& x_0) {
    Tensor loss = problem.loss(x_0);
    require(loss.size() == 1, "gradient: the loss returned shape {}, not a scalar; sum or average it", loss.shape());
    return loss;
  };
  const bool any_p = std::find(full.wrt_p.begin(), full.wrt_p.end(), true) != full.wrt_p.end();
  require(full.wrt_x_T || any_p, "gradient: nothing to differentiate with respect to; ask for x_T or for parameters");

  Gradient result;
  result.p.resize(problem.p.size());
  Sampler counting = problem.sampler;
  counting.denoiser.net = [&result, &net = problem.sampler.denoiser.net](const Tensor& x, const Level& at,
                                                                         const Tensors& p) {
    ++result.nfe;
    return net(x, at, p);
  };
  method(full, counting, result);
  return result;
}

Tensor loss_cotangent(const GradientProblem& problem, const Tensor& y_0, Gradient& result) {
  const auto [loss, a] = value_and_grad(
      [&](const Tensors& in) {
        result.x_0 = problem.sampler.x_at(problem.sampler.steps(), {in[0], {}});
        return problem.loss(result.x_0);
      },
      {y_0});
  result.x_0 = stop_gradient(result.x_0);
  result.loss = loss.item();
  return a[0];
}

Tensor start_cotangent(const GradientProblem& problem, const Tensor& a_y) {
  const Vjp start = vjp([&](const Tensors& in) { return Tensors{problem.sampler.start(in[0]).y}; }, {problem.x_T});
  return start.pull_once({a_y})[0];
}

}  // namespace costate
