// PNDM: PLMS with pseudo Runge-Kutta steps to start with.
#include <nlohmann/json.hpp>

#include "solvers/averaged_v.h"
#include "solvers/multistep.h"

namespace costate {
namespace {

/// Pseudo Runge-Kutta; option stride: see there.
Stepper runge_kutta(const Config& options) {
  const auto stride = options.integer("stride", 0);
  return make_stepper("rk4", Config(nlohmann::json{{"middle", "t"}, {"stride", stride}}, "pndm"));
}

/// F-PNDM: three pseudo Runge-Kutta steps, then four values. S-PNDM (`kind: s`): one step of Heun's, then two values.
Stepper make(const Config& options) {
  const bool four = options.choice("kind", "f", {"f", "s"}) == "f";
  const Stepper start = four ? runge_kutta(options) : make_stepper("heun");
  return with_values(multistep({.points = four ? 4U : 2U,
                                .order = 2,
                                .weights = pseudo_adams,
                                .polynomial_in_lambda = false,
                                .starter = start},
                               options),
                     options);
}

}  // namespace

StepperType pndm_stepper() {
  return {.name = "pndm",
          .summary = "pseudo linear multistep started by pseudo Runge-Kutta (kind f) or Heun (kind s)",
          .reference = "Liu et al. 2022, \"PNDM\", algorithm 2",
          .options = multistep_options({"kind", "stride", "values"}),
          .make = make};
}

}  // namespace costate
