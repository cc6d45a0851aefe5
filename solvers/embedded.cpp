// Embedded Runge-Kutta methods in lambda.
#include "solvers/embedded.h"

#include <cmath>

#include "autodiff/ops/scale.h"

namespace costate {

Stepper embedded(const Tableau& tableau, const Config& options) {
  const auto trial = [&tableau](const Step& step, const Tensor& y, const Level& from, const Level& to) -> Trial {
    const double a = from.lambda(), b = to.lambda();
    const auto field = [&](double lambda, const Tensors& state) -> Tensors {
      const Level at = lambda == a ? from : lambda == b ? to : step.at_lambda(lambda);
      return {scale(step.denoiser.eps(state[0], at, step.p), -at.s())};
    };
    const auto slopes = rk_stages(tableau, field, a, b, {y});
    const Tensors better = rk_combine({y}, b - a, tableau.b, slopes);
    Trial found{better[0], rk_combine(better, a - b, tableau.error, slopes)[0]};
    for (const auto& slope : slopes) found.slopes.push_back(slope[0]);
    return found;
  };
  const auto dense = [&tableau](double theta, double h, const Tensor& y, const Tensors& slopes) {
    std::vector<Tensors> each;
    for (const auto& slope : slopes) each.push_back({slope});
    return rk_combine({y}, h, tableau.dense(theta), each)[0];
  };
  return adaptive(control_from(options, {.rtol = 1e-5, .atol = 1e-5}), tableau.order, trial,
                  options.flag("dense", false) ? DenseOutput(dense) : nullptr);
}

}  // namespace costate
