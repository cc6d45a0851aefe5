// DPM-Solver++(2S): singlestep, data form, order 2.
#include "solvers/singlestep.h"

namespace costate {

StepperType dpmpp_2s_stepper() {
  return {.name = "dpmpp-2s",
          .summary = "DPM-Solver++(2S): singlestep, data form",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", algorithm 1",
          .options = singlestep_options(2),
          .make = [](const Config& options) { return make_singlestep(Form::data, 2, options); }};
}

}  // namespace costate
