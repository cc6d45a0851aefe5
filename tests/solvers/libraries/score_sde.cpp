// score_sde (yang-song/score_sde_pytorch): predictors and correctors on VP, sub-VP and VE, states in x after each step.
#include "tests/solvers/libraries/library.h"

namespace costate {
namespace {

SchedulePtr schedule_of(const FixtureCase& c) {
  const std::string type = c.schedule.text("type", "");
  return costate::schedule_of(type == "ve" ? R"({"type": "ve", "sigma_min": 0.01, "sigma_max": 50})"
                                           : fmt::format(R"({{"type": "{}"}})", type == "vp" ? "vp_linear" : "sub_vp"));
}

/// Norms are averaged over the batch, as released.
Stepper stepper_of(const FixtureCase& c) {
  const std::string predictor = c.settings.text("predictor", ""), corrector = c.settings.text("corrector", "");
  std::string ours = predictor == "euler_maruyama" ? "euler-maruyama" : "reverse-diffusion",
              options = R"("discretization": "score_sde")";
  if (predictor == "ancestral_sampling") {
    ours = "ddpm";
    options += c.schedule.text("type", "") == "vp" ? R"(, "variance": "large")" : "";
  }
  if (c.settings.flag("probability_flow", false)) options += R"(, "flow": true)";
  const std::string langevin = fmt::format(R"("norms": "batch", "snr": {}, "times": {})", c.settings.number("snr", 0),
                                           c.settings.integer("n_steps", 0));
  if (predictor.empty()) ours = "langevin", options += ", " + langevin;
  if (!predictor.empty() && !corrector.empty()) {
    options += fmt::format(R"(, "predictor": "{}", {})", ours, langevin);
    ours = "pc";
  }
  return costate::stepper_of(ours, "{" + options + "}");
}

/// The last step begins and ends at the same level: the loop of sample() would refuse that grid.
Replay replay(const FixtureCase& c) {
  Sampler sampler{.denoiser = c.denoiser, .grid = c.grid, .stepper = stepper_of(c), .noise = c.noise()};
  sampler.schedule = schedule_of(c);
  State state = sampler.start(c.read("x_T"));
  Replay found{.x = {c.read("x_T")}};
  for (int i = 0; i < sampler.steps(); ++i) {
    state = sampler.step(i, state, c.problem.p);
    found.x.push_back(sampler.x_at(i + 1, state));
  }
  return found;
}

}  // namespace

Library score_sde_library() { return {.files = "score-sde", .replay = replay}; }

}  // namespace costate
