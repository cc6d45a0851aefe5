// DPM-Solver++(3M): the three-step method in data form; in noise form, multistep DPM-Solver-3.
#include "solvers/multistep.h"

namespace costate {
namespace {

/// Published (the authors' code, and every library after it): with D the divided differences of m in u,
///   y' = (s'/s) y + M_0 m + M_1 (D_10 + r_0 D_2) + M_2 / 2 D_2,   M_k the moments, D_2 = (D_10 - D_11) / (r_0 + r_1).
/// The parabola through the three points has D_2 itself at u^2, not D_2 / 2: as published the method is of second order
/// whatever its start. `weights: exact` has the parabola's, and third order.
/// The second step is a two-step one, exact or with DPM-Solver++(2M)'s weights.
Weights weights(Form form, bool exact, bool second_exact, const Step& step, std::size_t count) {
  Weights w = moments(form, step.from(), step.to(), count);
  if (count == 1) return w;
  if (count == 2 && !second_exact) w.of[1] = w.of[0] / 2;
  if (count == 3 && !exact) w.of[2] /= 2;
  return interpolate(w, nodes_in_lambda(step, count));
}

}  // namespace

StepperType dpmpp_3m_stepper() {
  return {.name = "dpmpp-3m",
          .summary = "DPM-Solver++(3M): three-step, data form; third order with weights = exact",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", and the authors' code",
          .options = multistep_options({"form", "weights", "second_step"}),
          .make = [](const Config& options) {
            const Form form = form_from(options, Form::data);
            const bool exact = options.choice("weights", "published", {"published", "exact"}) == "exact";
            const bool second_exact = options.choice("second_step", "exact", {"published", "exact"}) == "exact";
            return multistep(
                {.form = form,
                 .points = 3,
                 .order = exact ? 3 : 2,
                 .weights = [=](const Step& step,
                                std::size_t count) { return weights(form, exact, second_exact, step, count); }},
                options);
          }};
}

}  // namespace costate
