// PLMS: DDIM steps with eps extrapolated by Adams-Bashforth weights of equal steps.
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

}  // namespace

/// y' = y + (s' - s) sum_k b_k eps_k
StepperType plms_stepper() {
  return {.name = "plms",
          .summary = "pseudo linear multistep (iPNDM): DDIM with four past eps, started by lower orders",
          .reference = "Liu et al. 2022, \"PNDM\", (12); Zhang and Chen 2023 for the start",
          .options = multistep_options({"pure_noise", "values"}),
          .make = [](const Config& options) {
            Stepper plms = with_values(
                multistep({.points = 4, .order = 2, .weights = pseudo_adams, .polynomial_in_lambda = false}, options),
                options);
            if (options.choice("pure_noise", "limit", {"limit", "diffusers"}) == "limit") return plms;
            plms.leaves_pure_noise = true;
            plms.advance = [usual = plms.advance](const Step& step, const State& state) {
              return step.from().alpha == 0 ? leave_without_x0(step, state) : usual(step, state);
            };
            return plms;
          }};
}

}  // namespace costate
