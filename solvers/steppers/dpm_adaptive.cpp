// DPM-Solver with adaptive steps: orders 1 and 2 measure each other (12), or 2 and 3 (23).
#include "solvers/adaptive.h"
#include "solvers/singlestep.h"

namespace costate {
namespace {

/// DPM-Solver-12 (order 2, r1 = 1/2) and -23 (order 3, r1 = 1/3, r2 = 2/3): the lower order uses evaluations of the higher.
Stepper make(const Config& options) {
  const auto order = static_cast<int>(options.integer("order", 3));
  const Form form = form_from(options, Form::noise);
  const Singlestep lower{.form = form, .order = order - 1, .r1 = 1.0 / order};
  const Singlestep higher{.form = form, .order = order, .r1 = 1.0 / order};
  return adaptive(control_from(options, {}), order,
                  [=](const Step& step, const Tensor& y, const Level& from, const Level& to) -> Trial {
                    Tensors values;
                    const Tensor low = singlestep(lower, step, y, from, to, values);
                    return {singlestep(higher, step, y, from, to, values), low};
                  });
}

}  // namespace

StepperType dpm_adaptive_stepper() {
  return {.name = "dpm-adaptive",
          .summary = "DPM-Solver-12 or -23 with adaptive steps; form = data is DPM-Solver++",
          .reference = "Lu et al. 2022, \"DPM-Solver\", appendix C; k-diffusion for the PID controller",
          .options = control_options({"form"}),
          .orders = {2, 3},
          .make = make};
}

}  // namespace costate
