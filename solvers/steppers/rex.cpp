// Rex: any explicit Runge-Kutta method made exactly invertible by coupling two copies of the state.
#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "solvers/exponential.h"
#include "solvers/shark.h"

namespace costate {
namespace {

enum class Sde { no, euler, shark };

struct Rex {
  const Tableau& table;  // of the ODE
  Form form;
  double zeta;
  Sde sde;
};

/// A clock in which the equation is du/dtau = field: tau = s, u = y, field eps (noise form) or tau = 1 / s, u = y / s, field
/// x_0 (data form). The SDE is in data form with tau = 1 / s^2, u = y / s^2.
double tau(Form form, const Level& at) { return form == Form::noise ? at.s() : 1 / at.s(); }
double weight(const Rex& rex, const Level& at) {  // y / u
  return rex.form == Form::noise ? 1 : rex.sde == Sde::no ? at.s() : at.s() * at.s();
}

/// Increment of u over a Runge-Kutta step between the step's levels, down or up, from the state y at `from`.
Tensor increment(const Rex& rex, const Step& step, const Level& from, const Level& to, const Tensor& y) {
  const double start = tau(rex.form, from), h = tau(rex.form, to) - start;
  const Tensor u = scale(y, 1 / weight(rex, from));
  std::vector<Tensor> slopes;
  for (std::size_t i = 0; i < rex.table.b.size(); ++i) {
    const double c = rex.table.c[i], now = start + c * h;
    const Level at = c == 0   ? from
                     : c == 1 ? to
                              : step.at_lambda(rex.form == Form::noise ? -std::log(now) : std::log(now));
    Tensor stage = u;
    for (std::size_t j = 0; j < i; ++j)
      if (rex.table.a[i][j] != 0) stage = lincomb(1, stage, h * rex.table.a[i][j], slopes[j]);
    slopes.push_back(field(rex.form, step, scale(stage, weight(rex, at)), at));
  }
  Tensor sum = scale(slopes[0], h * rex.table.b[0]);
  for (std::size_t i = 1; i < slopes.size(); ++i) sum = lincomb(1, sum, h * rex.table.b[i], slopes[i]);
  return sum;
}

/// The noise of a step, the same in all its halves and in its inverse; nothing without noise.
RhoPath path_of(const Rex& rex, const Step& step, const Tensor& like) {
  if (rex.sde == Sde::shark) return path_in_rho(step, like);
  if (rex.sde == Sde::no) return {};
  const double a = 1 / step.from().s(), b = 1 / step.to().s();
  return {scale(step.normal(like), std::sqrt((b - a) * (b + a))), {}};
}

/// What is added to y by a step from `from` to `to`. To sigma = 0, where the network is not evaluated, it is Euler's with
/// eps at the other level; back from there as well.
Tensor push(const Rex& rex, const Step& step, const Level& from, const Level& to, const Tensor& y,
            const RhoPath& path) {
  const Tensor gain = rex.sde == Sde::shark   ? shark(step, from, to, y, path)
                      : rex.sde == Sde::euler ? euler_in_rho(step, from, to, y, path.W)
                                              : increment(rex, step, from, to, y);
  return scale(gain, weight(rex, to));
}
bool ends_clean(const Step& step) { return step.to().sigma == 0; }
Tensor euler(const Step& step, const Tensor& y) {
  return scale(step.denoiser.eps(y, step.from(), step.p), step.to().s() - step.from().s());
}
/// y carried from one level to the other where the field is 0.
double carry(const Rex& rex, const Level& from, const Level& to) { return weight(rex, to) / weight(rex, from); }

/// Published, with w = alpha or sigma and Psi_h the increment: x' = (w'/w) (z x + (1 - z) v) + w' Psi_h(v),
/// v' = (w'/w) v - w' Psi_-h(x').
State advance(const Rex& rex, const Step& step, const State& state) {
  const Level &from = step.from(), &to = step.to();
  const Tensor& v = state.memory.empty() ? state.y : state.memory[0];
  const Tensor mixed = lincomb(rex.zeta, state.y, 1 - rex.zeta, v);
  if (ends_clean(step)) {
    const Tensor y = add(mixed, euler(step, v));
    return {y, {add(v, euler(step, y))}};
  }
  const double q = carry(rex, from, to);
  const RhoPath path = path_of(rex, step, v);
  const Tensor y = lincomb(q, mixed, 1, push(rex, step, from, to, v, path));
  return {y, {lincomb(q, v, -q, push(rex, step, to, from, y, path))}};
}

State invert(const Rex& rex, const Step& step, const State& next) {
  const Level &from = step.from(), &to = step.to();
  const Tensor& v_next = next.memory.at(0);
  Tensor v, mixed;
  if (ends_clean(step)) {
    v = sub(v_next, euler(step, next.y));
    mixed = sub(next.y, euler(step, v));
  } else {
    const double q = carry(rex, from, to);
    const RhoPath path = path_of(rex, step, next.y);
    v = lincomb(1 / q, v_next, 1, push(rex, step, to, from, next.y, path));
    mixed = lincomb(1 / q, next.y, -1 / q, push(rex, step, from, to, v, path));
  }
  return {lincomb(1 / rex.zeta, mixed, 1 - 1 / rex.zeta, v), {v}};
}

Stepper make(const Config& options) {
  const std::string sde = options.choice("sde", "no", {"no", "euler", "shark"});
  const Rex rex{find_tableau(options.text("tableau", "midpoint")), form_from(options, Form::data),
                options.number("zeta", 0.999),
                sde == "no"      ? Sde::no
                : sde == "euler" ? Sde::euler
                                 : Sde::shark};
  require(rex.zeta > 0 && rex.zeta <= 1, "rex: zeta = {} should be in (0, 1]", rex.zeta);
  require(rex.sde == Sde::no || (rex.form == Form::data && !options.has("tableau")),
          "rex: sde = {} is in data form and has a method of its own; leave tableau and form = noise out", sde);
  return Stepper{.order = rex.sde == Sde::no ? rex.table.order : 1,
                 .evaluations = 2 * (rex.sde == Sde::no      ? rex.table.stages()
                                     : rex.sde == Sde::euler ? 1
                                                             : 2),
                 .eta = rex.sde == Sde::no ? 0.0 : 1.0,
                 .advance = [rex](const Step& step, const State& state) { return advance(rex, step, state); },
                 .invert = [rex](const Step& step, const State& next) { return invert(rex, step, next); },
                 .arrive =
                     [](const Step&, const Tensor& y) {
                       return State{y, {y}};
                     }};
}

}  // namespace

StepperType rex_stepper() {
  return {.name = "rex",
          .summary =
              "Rex: reversible exponential Runge-Kutta; tableau, form data or noise, zeta in (0, 1]; sde = euler or "
              "shark for the reverse SDE",
          .reference = "Blasingame and Liu, \"Rex\", arXiv 2502.08834; McCallum and Foster 2024",
          .options = {"tableau", "form", "zeta", "sde"},
          .make = make};
}

}  // namespace costate
