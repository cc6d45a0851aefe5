// DPM-Solver-1, -2, -3: singlestep, noise form. DPM-Solver-1 is DDIM; with r1 = 1/2, DPM-Solver-2 is k-diffusion's DPM2.
#include "solvers/singlestep.h"

namespace costate {

StepperType dpm_stepper() {
  return {.name = "dpm",
          .summary = "DPM-Solver of order K: singlestep, noise form",
          .reference = "Lu et al. 2022, \"DPM-Solver\", algorithms 1 and 2",
          .options = singlestep_options(3),
          .orders = {1, 2, 3},
          .make = [](const Config& options) {
            return make_singlestep(Form::noise, static_cast<int>(options.integer("order", 2)), options);
          }};
}

}  // namespace costate
