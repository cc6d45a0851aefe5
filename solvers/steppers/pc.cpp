// Predictor-corrector: Langevin steps at a level, then a step of another sampler to the next.
#include <memory>
#include <nlohmann/json.hpp>

#include "solvers/langevin.h"

namespace costate {
namespace {

/// What the corrector draws has the parts below `times`, the predictor's come after. Pure noise is drawn from what the
/// corrector would keep: there it has nothing to do, and Sampler takes a predictor's step that does not take it itself.
State advance(const Langevin& corrector, const Stepper& predictor, const Step& step, const State& state) {
  const Noise after = [&](Draw draw, const Tensor& like) {
    draw.part += corrector.times;
    return step.noise(draw, like);
  };
  const Tensor y = step.from().alpha == 0 ? state.y : langevin(corrector, step, state.y).y;
  return predictor.advance(step.with(after), {y, state.memory});
}

// Options that the predictor is given, where they are.
constexpr const char* passed_on[] = {"discretization", "variance", "eta", "flow"};

Stepper make_predictor(const std::string& name, const Config& options) {
  const auto all = nlohmann::json::parse(options.dump());
  auto own = nlohmann::json::object();
  for (const char* key : passed_on)
    if (all.contains(key)) own[key] = all[key];
  return make_stepper(name, Config(own, options.where() + ", predictor"));
}

Stepper make(const Config& options) {
  using Size = Langevin::Size;
  const bool ald = options.choice("corrector", "langevin", {"langevin", "ald"}) == "ald";
  const Langevin corrector = langevin_from(options, ald ? Size::ald : Size::langevin);
  const std::string name = options.text("predictor", "reverse-diffusion");
  const auto predictor = std::make_shared<const Stepper>(make_predictor(name, options));
  require(predictor->invert == nullptr, "pc: the predictor {} is of two coupled states, which a corrector would part",
          name);
  return {.evaluations = predictor->evaluations > 0 ? predictor->evaluations + corrector.times : 0,
          .eta = 1,
          .fresh = predictor->fresh,
          .solves_sde = false,
          .batching = predictor->batching == Batching::any ? batching_of(corrector) : predictor->batching,
          .leaves_pure_noise = predictor->leaves_pure_noise,
          .advance = [=](const Step& step, const State& state) { return advance(corrector, *predictor, step, state); }};
}

}  // namespace

StepperType pc_stepper() {
  auto options = langevin_options();
  options.insert(options.begin(), {"predictor", "corrector", "variance", "eta", "flow"});
  return {.name = "pc",
          .summary = "predictor-corrector: Langevin steps before every step of predictor, any other sampler",
          .reference = "Song et al. 2021, \"Score-based generative modeling through SDEs\", algorithms 2 to 5",
          .options = options,
          .make = make};
}

}  // namespace costate
