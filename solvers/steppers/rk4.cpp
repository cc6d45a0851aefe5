// Runge-Kutta methods of order 4 in the clock s; with its middle at the mean t, PNDM's pseudo Runge-Kutta.
#include "autodiff/ops/add.h"
#include "solvers/fixed_runge_kutta.h"

namespace costate {
namespace {

/// The classical method's weights, with the two middle stages at (t + t') / 2: order 2, not 4. With a stride (diffusers, T / N)
/// the first middle is half a stride below t, the second half a stride above t', halves rounded down, and x at the first is
/// taken for x at the second.
State middle_in_t(const Step& step, const State& state, std::int64_t stride) {
  const Level &from = step.from(), &to = step.to();
  const auto slope = [&](const Tensor& y, const Level& at) { return step.denoiser.eps(y, at, step.p); };
  const double ds = to.s() - from.s();
  if (to.s() == 0) return {lincomb(1, state.y, ds, slope(state.y, from)), {}};
  const auto down = static_cast<double>(stride / 2);
  const Level first = stride > 0 ? step.at_index(from.t - down) : step.at_t((from.t + to.t) / 2);
  const Level middle = stride > 0 ? step.at_index(to.t + down) : first;
  const Tensor k1 = slope(state.y, from);
  const double half = middle.s() - from.s(), rescaled = first.alpha / middle.alpha;
  const Tensor k2 = slope(lincomb(rescaled, state.y, rescaled * (first.s() - from.s()), k1), middle);
  const Tensor k3 = slope(lincomb(1, state.y, half, k2), middle);
  const Tensor k4 = slope(lincomb(1, state.y, ds, k3), to);
  return {lincomb(1, lincomb(1, state.y, ds / 6, add(k1, k4)), ds / 3, add(k2, k3)), {}};
}

}  // namespace

StepperType rk4_stepper() {
  return {.name = "rk4",
          .summary =
              "Runge-Kutta of order 4 in sigma / alpha, classical or (rule = 3/8) Kutta's other; middle = t is "
              "PNDM's pseudo Runge-Kutta",
          .reference = "Kutta 1901; Liu et al. 2022, \"PNDM\", (13)",
          .options = {"middle", "rule", "stride"},
          .make = [](const Config& options) {
            const bool in_t = options.choice("middle", "s", {"s", "t"}) == "t";
            const bool other = options.choice("rule", "classical", {"classical", "3/8"}) == "3/8";
            require(!in_t || !other, "rk4: middle = t is of the classical rule; leave rule out");
            const auto stride = options.integer("stride", 0);
            require(stride >= 0 && (in_t || stride == 0),
                    "rk4: stride = {} is of middle = t, and positive; leave it out", stride);
            if (in_t)
              return Stepper{.order = 2, .evaluations = 4, .advance = [stride](const Step& step, const State& state) {
                               return middle_in_t(step, state, stride);
                             }};
            return fixed_runge_kutta(find_tableau(other ? "rk4-38" : "rk4"));
          }};
}

}  // namespace costate
