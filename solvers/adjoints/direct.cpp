// Direct: one tape through the whole sampler and the loss.
#include "autodiff/transform.h"
#include "solvers/adjoint.h"

namespace costate {
namespace {

void through_the_loop(const GradientProblem& problem, const Sampler& sampler, Gradient& result) {
  Tensors in{problem.x_T};
  in.insert(in.end(), problem.p.begin(), problem.p.end());
  Wanted wanted{problem.wrt_x_T};
  wanted.insert(wanted.end(), problem.wrt_p.begin(), problem.wrt_p.end());

  const Vjp taped = vjp(
      [&](const Tensors& t) {
        result.x_0 = sample(sampler, t[0], Tensors(t.begin() + 1, t.end()), problem.progress);
        return Tensors{problem.loss(result.x_0)};
      },
      in, wanted);
  const Tensor& loss = taped.value[0];
  result.x_0 = stop_gradient(result.x_0);
  result.loss = loss.item();
  result.vjps = result.nfe;
  Tensors back = taped.pull_once({Tensor::full(loss.shape(), 1, loss.dtype(), loss.device())});
  result.x_T = back[0];
  result.p.assign(back.begin() + 1, back.end());
}

}  // namespace

Adjoint direct_adjoint() {
  return {.name = "direct",
          .summary = "reverse mode through the whole sampler",
          .consistent = "the sampler",
          .memory = "the tape of every step",
          .reference = "discretise, then optimise",
          .gradient = [](const GradientProblem& problem) { return solve(problem, through_the_loop); }};
}

}  // namespace costate
