// DPM-Solver++(2M): the two-step method in data form; in noise form, multistep DPM-Solver-2.
#include "solvers/multistep.h"

namespace costate {
namespace {

/// Published: x' = (sigma'/sigma) x - alpha' (e^-h - 1) D with D = (1 + 1/(2r)) m - 1/(2r) m_before and r = h_before / h: the slope of
/// m is weighted as if it acted from the middle of the step. `weights: exact` integrates the straight line through the
/// two instead ("taylor" in the authors' code); the two differ by O(h^3).
Weights weights(Form form, bool exact, const Step& step, std::size_t count) {
  Weights w = moments(form, step.from(), step.to(), exact ? count : 1);
  if (count == 1) return w;
  if (!exact) w.of.push_back(w.of[0] / 2);
  return interpolate(w, nodes_in_lambda(step, count));
}

}  // namespace

StepperType dpmpp_2m_stepper() {
  return {.name = "dpmpp-2m",
          .summary = "DPM-Solver++(2M): two-step, data form",
          .reference = "Lu et al. 2022, \"DPM-Solver++\", algorithm 2",
          .options = multistep_options({"form", "weights"}),
          .make = [](const Config& options) {
            const Form form = form_from(options, Form::data);
            const bool exact = options.choice("weights", "published", {"published", "exact"}) == "exact";
            return multistep(
                {.form = form,
                 .points = 2,
                 .order = 2,
                 .weights = [=](const Step& step, std::size_t count) { return weights(form, exact, step, count); }},
                options);
          }};
}

}  // namespace costate
