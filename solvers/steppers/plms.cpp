// PLMS: DDIM steps with eps extrapolated by Adams-Bashforth weights of equal steps.
#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "solvers/averaged_v.h"
#include "solvers/multistep.h"

namespace costate {
namespace {

/// From pure noise diffusers' IPNDM goes on as if x_0 were 0, and remembers that eps.
State leave_without_x0(const Step& step, const State& state) {
  const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
  return {scale(eps, step.to().s()), {eps}};
}

/// diffusers' first step, where its grid is not its stride T / N: Heun's, with the end of the predictor's step, a stride below t,
/// taken for t', and the beginning of the corrector's, a stride above t', for t. Values are of eps, or of v, from which the
/// corrector makes eps at its own beginning.
State start_by_stride(const Step& step, const State& state, double stride, bool of_v) {
  const Level &from = step.from(), &to = step.to();
  const Level below = step.at_index(from.t - stride), above = step.at_index(to.t + stride);
  const Tensor x = scale(state.y, from.alpha);
  const auto value = [&](const Tensor& eps, const Tensor& at, const Level& level) {
    return of_v ? lincomb(1 / level.alpha, eps, -level.sigma / level.alpha, at) : eps;
  };
  const Tensor eps = step.denoiser.eps(state.y, from, step.p);
  const Tensor ahead = lincomb(below.alpha, state.y, below.alpha * (below.s() - from.s()), eps);
  const Tensor first = value(eps, x, from),
               second = value(step.denoiser.eps(scale(ahead, 1 / to.alpha), to, step.p), ahead, to);
  const Tensor mean = lincomb(0.5, first, 0.5, second);
  const Tensor corrected = of_v ? lincomb(above.alpha, mean, above.sigma, x) : mean;
  return {lincomb(1 / above.alpha, x, to.s() - above.s(), corrected), {first}};
}

}  // namespace

/// y' = y + (s' - s) sum_k b_k eps_k
StepperType plms_stepper() {
  return {.name = "plms",
          .summary = "pseudo linear multistep (iPNDM): DDIM with four past eps, started by lower orders",
          .reference = "Liu et al. 2022, \"PNDM\", (12); Zhang and Chen 2023 for the start",
          .options = multistep_options({"pure_noise", "stride", "values"}),
          .make = [](const Config& options) {
            Stepper plms = with_values(
                multistep({.points = 4, .order = 2, .weights = pseudo_adams, .polynomial_in_lambda = false}, options),
                options);
            const bool without_x0 = options.choice("pure_noise", "limit", {"limit", "diffusers"}) == "diffusers";
            const auto stride = static_cast<double>(options.integer("stride", 0));
            require(stride >= 0, "plms: stride = {} should be positive; leave it out", stride);
            plms.leaves_pure_noise = without_x0;
            plms.advance = [=, usual = plms.advance, of_v = options.text("values", "eps") == "v"](const Step& step,
                                                                                                  const State& state) {
              if (without_x0 && step.from().alpha == 0) return leave_without_x0(step, state);
              if (stride > 0 && step.index == 0) return start_by_stride(step, state, stride, of_v);
              return usual(step, state);
            };
            return plms;
          }};
}

}  // namespace costate
