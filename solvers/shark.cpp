// ShARK and Euler-Maruyama in rho.
#include "solvers/shark.h"

#include <cmath>

#include "autodiff/ops/arithmetic.h"

namespace costate {
namespace {

double rho(const Level& at) { return 1 / (at.s() * at.s()); }

/// The mean of r / h under the density e^r on 0 <= r <= h.
double mean_place(double h) {
  return std::abs(h) < 1e-2 ? 0.5 + h / 12 * (1 - h * h / 60) : -1 / std::expm1(-h) - 1 / h;
}

/// Back from rho to lambda the path has turned round: the increment changes its sign, the area does not.
double direction(const Level& from, const Level& to) { return to.s() < from.s() ? 1 : -1; }

}  // namespace

/// dB = sqrt(2) e^lambda dW. Projected on what is known of the path in lambda, 1 and 1/2 - r / h over the step, B's increment
/// and area are a turned pair of standard normals; what is left out is O(h^2.5). The law of both is exact.
RhoPath path_in_rho(const Step& step, const Tensor& like) {
  const double h = step.to().lambda() - step.from().lambda(), d = rho(step.to()) - rho(step.from());
  const double angle = std::atan(std::sqrt(12) * (0.5 - mean_place(h))), c = std::cos(angle), n = std::sin(angle);
  const Tensor W = step.normal(like), H = step.levy_area(like);
  return {lincomb(std::sqrt(d) * c, W, std::sqrt(d) * n, H),
          lincomb(-std::sqrt(d / 12) * n, W, std::sqrt(d / 12) * c, H)};
}

/// Published for dX = f dt + dB: Z = X + H, Z' = Z + 5/6 (f(Z) h + W), X' = X + (2/5 f(Z) + 3/5 f(Z')) h + W, where Z' is at
/// 5/6 of the step.
Tensor shark(const Step& step, const Level& from, const Level& to, const Tensor& y, const RhoPath& path) {
  const double start = rho(from), h = rho(to) - start, way = direction(from, to);
  const Tensor Z = start * y + path.H;
  const Tensor f = step.denoiser.x0(Z / start, from, step.p);
  const double later = start + 5.0 / 6 * h;
  const Tensor Z_later = lincomb(1, lincomb(1, Z, 5.0 / 6 * h, f), 5.0 / 6 * way, path.W);
  const Tensor f_later = step.denoiser.x0(Z_later / later, step.at_lambda(std::log(later) / 2), step.p);
  return lincomb(1, lincomb(0.4 * h, f, 0.6 * h, f_later), way, path.W);
}

Tensor euler_in_rho(const Step& step, const Level& from, const Level& to, const Tensor& y, const Tensor& W) {
  return lincomb(rho(to) - rho(from), step.denoiser.x0(y, from, step.p), direction(from, to), W);
}

}  // namespace costate
