// EDICT: two coupled copies of the state, each moved by eps of the other and then mixed; exactly invertible.
#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "solvers/stepper.h"

namespace costate {
namespace {

/// Published, with A x + B eps the DDIM map (y + ds eps in the canonical state) and v the second copy:
///   u~ = u + ds eps(v), v~ = v + ds eps(u~), u' = p u~ + (1 - p) v~, v' = p v~ + (1 - p) u'
/// The network sees both at the level that the step leaves, u~ as the x = alpha' u~ that it already is.
Tensor eps_of_moved(const Step& step, const Tensor& u1) {
  return step.denoiser.eps(scale(u1, step.to().scale() / step.from().scale()), step.from(), step.p);
}

State advance(double p, const Step& step, const State& state) {
  const double ds = step.to().s() - step.from().s();
  const Tensor& v = state.memory.empty() ? state.y : state.memory[0];
  const Tensor u1 = lincomb(1, state.y, ds, step.denoiser.eps(v, step.from(), step.p));
  const Tensor v1 = lincomb(1, v, ds, eps_of_moved(step, u1));
  const Tensor u2 = lincomb(p, u1, 1 - p, v1);
  return {u2, {lincomb(p, v1, 1 - p, u2)}};
}

State invert(double p, const Step& step, const State& next) {
  const double ds = step.to().s() - step.from().s();
  const Tensor v1 = lincomb(1 / p, next.memory.at(0), -(1 - p) / p, next.y);
  const Tensor u1 = lincomb(1 / p, next.y, -(1 - p) / p, v1);
  const Tensor v = lincomb(1, v1, -ds, eps_of_moved(step, u1));
  return {lincomb(1, u1, -ds, step.denoiser.eps(v, step.from(), step.p)), {v}};
}

}  // namespace

StepperType edict_stepper() {
  return {.name = "edict",
          .summary =
              "EDICT: two coupled DDIMs, exactly invertible; p in (0, 1], the lower the more digits the inverse loses",
          .reference = "Wallace, Gokul and Naik 2023, \"EDICT\", (14) to (17)",
          .options = {"p"},
          .make = [](const Config& options) {
            const double p = options.number("p", 0.93);
            require(p > 0 && p <= 1, "edict: p = {} should be in (0, 1]", p);
            return Stepper{.order = 1,
                           .evaluations = 2,
                           .advance = [p](const Step& step, const State& state) { return advance(p, step, state); },
                           .invert = [p](const Step& step, const State& next) { return invert(p, step, next); },
                           .arrive =
                               [](const Step&, const Tensor& y) {
                                 return State{y, {y}};
                               }};
          }};
}

}  // namespace costate
