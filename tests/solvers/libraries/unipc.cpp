// UniPC (wl-zhao/UniPC): VP-linear, states after the corrector; lower order and no corrector at the end.
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

/// Its vary_coeff weighs the corrector's newest difference by another row of the inverse (erratum: order 1).
Replay replay(const FixtureCase& c) {
  const std::string variant = c.settings.text("variant", "");
  const std::string options =
      fmt::format(R"({{"form": "{}", "variant": "{}", "corrector": "but_last", "lower_order_final": true}})",
                  c.settings.text("algorithm_type", "") == "data_prediction" ? "data" : "noise",
                  variant == "vary_coeff" ? "vary_coeff_released" : variant);
  return states_of(c, sampler_of(c, fmt::format("unipc-{}", c.settings.integer("order", 0)), options));
}

}  // namespace

Library unipc_library() { return {.files = "unipc", .replay = replay}; }

}  // namespace costate
