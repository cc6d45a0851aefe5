// Explicit Runge-Kutta methods: the tables, a step, and the step-size control of adaptive integration.
#include "solvers/runge_kutta.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "core/config.h"
#include "solvers/norm.h"
#include "solvers/step_loop.h"

namespace costate {
namespace {

/// Hairer, Norsett and Wanner, "Solving ordinary differential equations I", section II.6: a Hermite cubic and a quartic.
std::vector<double> dormand_prince_dense(double t) {
  const double p = t * t * (3 - 2 * t), q = t * t * (t - 1) * (t - 1);
  return {35.0 / 384 * p + t * (t - 1) * (t - 1) - q * 5 * (2558722523.0 - 31403016.0 * t) / 11282082432.0,
          0,
          500.0 / 1113 * p + q * 100 * (882725551.0 - 15701508.0 * t) / 32700410799.0,
          125.0 / 192 * p - q * 25 * (443332067.0 - 31403016.0 * t) / 1880347072.0,
          -2187.0 / 6784 * p + q * 32805 * (23143187.0 - 3489224.0 * t) / 199316789632.0,
          11.0 / 84 * p - q * 55 * (29972135.0 - 7076736.0 * t) / 822651844.0,
          t * t * (t - 1) + q * 10 * (7414447.0 - 829305.0 * t) / 29380423.0};
}

/// Tsitouras 2011, section 5.
std::vector<double> tsitouras_dense(double t) {
  return {-1.0530884977290216 * t * (t - 1.3299890189751412) * (t * t - 1.4364028541716351 * t + 0.7139816917074209),
          0.1017 * t * t * (t * t - 2.1966568338249754 * t + 1.2949852507374631),
          2.490627285651252793 * t * t * (t * t - 2.38535645472061657 * t + 1.57803468208092486),
          -16.54810288924490272 * (t - 1.21712927295533244) * (t - 0.61620406037800089) * t * t,
          47.37952196281928122 * (t - 1.203071208372362603) * (t - 0.658047292653547382) * t * t,
          -34.87065786149660974 * (t - 1.2) * (t - 2.0 / 3) * t * t,
          2.5 * (t - 1) * (t - 0.6) * t * t};
}

Tableau dormand_prince() {
  return {.name = "rk45",
          .order = 5,
          .c = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1},
          .a = {{},
                {1.0 / 5},
                {3.0 / 40, 9.0 / 40},
                {44.0 / 45, -56.0 / 15, 32.0 / 9},
                {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
                {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
                {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}},
          .b = {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84, 0},
          .error = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40},
          .dense = dormand_prince_dense};
}

Tableau tsitouras() {
  return {
      .name = "tsit5",
      .order = 5,
      .c = {0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1},
      .a = {{},
            {0.161},
            {-0.008480655492356989, 0.335480655492357},
            {2.8971530571054935, -6.359448489975075, 4.3622954328695815},
            {5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525},
            {5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383},
            {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774}},
      .b = {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0},
      .error = {-0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
                0.5823571654525552, -0.45808210592918697, 1.0 / 66},
      .dense = tsitouras_dense};
}

/// The largest root mean square over a sample of `error`, in units of the tolerance.
double scaled_error(const Tensor& error, const Tensor& before, const Tensor& after, const Tolerance& tolerance) {
  const auto e = error.to_vector(), u = before.to_vector(), v = after.to_vector();
  const auto row = static_cast<std::size_t>(error.rank() > 0 ? error.size() / error.dim(0) : 1);
  double worst = 0, sum = 0;
  for (std::size_t i = 0; i < e.size(); ++i) {
    const double unit = tolerance.absolute + tolerance.relative * std::max(std::abs(u[i]), std::abs(v[i]));
    sum += (e[i] / unit) * (e[i] / unit);
    if ((i + 1) % row == 0) worst = std::max(worst, sum / static_cast<double>(row)), sum = 0;
    if (!std::isfinite(e[i])) return INFINITY;
  }
  return std::sqrt(worst);
}

}  // namespace

const std::vector<Tableau>& tableaus() {
  static const std::vector<Tableau> all = {
      {.name = "euler", .order = 1, .c = {0}, .a = {{}}, .b = {1}},
      {.name = "midpoint", .order = 2, .c = {0, 0.5}, .a = {{}, {0.5}}, .b = {0, 1}},
      {.name = "heun", .order = 2, .c = {0, 1}, .a = {{}, {1}}, .b = {0.5, 0.5}},
      {.name = "rk4",
       .order = 4,
       .c = {0, 0.5, 0.5, 1},
       .a = {{}, {0.5}, {0, 0.5}, {0, 0, 1}},
       .b = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6}},
      {.name = "rk4-38",
       .order = 4,
       .c = {0, 1.0 / 3, 2.0 / 3, 1},
       .a = {{}, {1.0 / 3}, {-1.0 / 3, 1}, {1, -1, 1}},
       .b = {1.0 / 8, 3.0 / 8, 3.0 / 8, 1.0 / 8}},
      dormand_prince(),
      tsitouras()};
  return all;
}

const Tableau& find_tableau(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& t : tableaus()) {
    if (t.name == name) return t;
    names.push_back(t.name);
  }
  fail_unknown("Runge-Kutta method", name, names);
}

Tensors rk_combine(const Tensors& y, double h, const std::vector<double>& weights, const std::vector<Tensors>& slopes) {
  Tensors sum = y;
  for (std::size_t i = 0; i < slopes.size() && i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    for (std::size_t k = 0; k < sum.size(); ++k) {
      if (!slopes[i][k].defined()) continue;
      sum[k] =
          sum[k].defined() ? lincomb(1, sum[k], h * weights[i], slopes[i][k]) : scale(slopes[i][k], h * weights[i]);
    }
  }
  return sum;
}

std::vector<Tensors> rk_stages(const Tableau& method, const OdeField& field, double from, double to, const Tensors& y) {
  const double h = to - from;
  std::vector<Tensors> slopes;
  for (std::size_t i = 0; i < method.c.size(); ++i) {
    // The last stage of most methods lies at the end itself, where from + h may miss by a rounding.
    const double at = method.c[i] == 1 ? to : from + method.c[i] * h;
    slopes.push_back(field(at, rk_combine(y, h, method.a[i], slopes)));
  }
  return slopes;
}

Tensors rk_step(const Tableau& method, const OdeField& field, double from, double to, const Tensors& y) {
  Tableau used = method;
  while (used.b.back() == 0) used.b.pop_back(), used.c.pop_back();  // stages of the error estimate alone
  return rk_combine(y, to - from, used.b, rk_stages(used, field, from, to, y));
}

Tensors rk_adaptive(const Tableau& method, const OdeField& field, double from, double to, Tensors y,
                    const Tolerance& tolerance, std::size_t controlled,
                    const std::function<void(double at, const Tensors& y)>& accept) {
  require(!method.error.empty(), "Runge-Kutta: {} has no error estimate; take rk45 or tsit5", method.name);
  require(tolerance.relative > 0 && tolerance.absolute > 0, "Runge-Kutta: tolerances {} and {} should be positive",
          tolerance.relative, tolerance.absolute);
  Tensors proposed;
  const auto trial = [&](double at, double next) {
    const auto slopes = rk_stages(method, field, at, next, y);
    proposed = rk_combine(y, next - at, method.b, slopes);
    double error = 0;
    for (std::size_t k = 0; k < controlled; ++k) {
      std::vector<Tensors> one;
      for (const auto& slope : slopes) one.push_back({slope[k]});
      const Tensors estimate = rk_combine({Tensor()}, next - at, method.error, one);
      if (estimate[0].defined()) error = std::max(error, scaled_error(estimate[0], y[k], proposed[k], tolerance));
    }
    return error;
  };
  // Hairer, Norsett and Wanner, "Solving ordinary differential equations I", (II.4.13)
  const auto decide = [&](double error, double used, double& size) {
    size =
        used * (std::isfinite(error) ? std::clamp(0.9 * std::pow(std::max(error, 1e-10), -1.0 / method.order), 0.2, 5.0)
                                     : 0.1);
    return error <= 1;
  };
  const auto take = [&](double next) {
    y = proposed;
    if (accept) accept(next, y);
  };
  const auto stuck = [&](const char* what, double at) {
    fail(
        "{}: {} at {} on the way from {} to {}; the norm of the state is {:.3e}. Loosen rtol and atol, or take fixed "
        "steps",
        method.name, what, at, from, to, norm(y, controlled));
  };
  run({.from = from,
       .to = to,
       .first = std::abs(to - from) / 64,
       .least = 1e-14 * std::max({std::abs(from), std::abs(to), std::abs(to - from)}),
       .most = tolerance.most_steps,
       .trial = trial,
       .decide = decide,
       .accept = take,
       .stuck = stuck});
  return y;
}

}  // namespace costate
