// Annealed Langevin dynamics: Langevin steps at every level of the grid, the state carried from one to the next as it is.
#include "solvers/langevin.h"
#include "autodiff/ops/scale.h"

namespace costate {
namespace {

/// x stays, so y' = (alpha / alpha') y. To sigma = 0: the mean of the last Langevin step, as published.
State advance(const Langevin& method, const Step& step, const State& state) {
  const auto [y, mean] = langevin(method, step, state.y);
  return {scale(step.to().sigma == 0 ? mean : y, step.from().alpha / step.to().alpha), {}};
}

}  // namespace

StepperType langevin_stepper() {
  auto options = langevin_options();
  options.insert(options.begin(), {"size", "step", "curvature", "flow_by", "bandwidth"});
  return {.name = "langevin",
          .summary =
              "annealed Langevin dynamics; size ald (snr sigma), langevin (snr |z| / |score|) or fixed (step "
              "sigma^2), `times` at every level; curvature > 0: Riemannian; flow_by gfsd, gfsf, blob or svgd: the "
              "batch as particles, without noise",
          .reference = "Song and Ermon 2019, algorithm 1; Song et al. 2021, algorithm 4; Girolami and Calderhead 2011",
          .options = options,
          .make = [](const Config& config) {
            const std::string size = config.choice("size", "ald", {"ald", "langevin", "fixed"});
            const Langevin method = langevin_from(config, size == "ald"     ? Langevin::Size::ald
                                                          : size == "fixed" ? Langevin::Size::fixed
                                                                            : Langevin::Size::langevin);
            return Stepper{
                .order = 1,
                .evaluations = method.times,
                .eta = method.flow == Particles::none ? 1.0 : 0.0,
                .solves_sde = false,
                .batching = batching_of(method),
                .advance = [method](const Step& step, const State& state) { return advance(method, step, state); }};
          }};
}

}  // namespace costate
