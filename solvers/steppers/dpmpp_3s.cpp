// DPM-Solver++(3S): singlestep, data form, order 3.
#include "solvers/singlestep.h"

namespace costate {

StepperType dpmpp_3s_stepper() {
  return {.name = "dpmpp-3s",
          .summary = "DPM-Solver++(3S): singlestep, data form",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", and the authors' code",
          .options = singlestep_options(3),
          .make = [](const Config& options) { return make_singlestep(Form::data, 3, options); }};
}

}  // namespace costate
