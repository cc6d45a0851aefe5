// The forward process and changes of coordinates.
#include "solvers/forward.h"

#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"

namespace costate {

Tensor noised(const Tensor& x_0, const Tensor& eps, const Level& at) { return lincomb(at.alpha, x_0, at.sigma, eps); }

Level variance_preserving(const Level& at) {
  const double norm = std::hypot(at.alpha, at.sigma);
  return {at.t, at.alpha / norm, at.sigma / norm};
}

Level variance_exploding(const Level& at) {
  require(at.alpha > 0, "level t = {}: is pure noise, which has no variance-exploding coordinates", at.t);
  return {at.t, 1, at.s()};
}

Tensor change_level(const Tensor& x, const Level& from, const Level& to) {
  const bool equal = from.s() == to.s() || std::abs(from.s() - to.s()) <= 1e-12 * from.s();
  require(equal, "change of coordinates: sigma / alpha is {} at t = {} and {} at t = {}", from.s(), from.t, to.s(),
          to.t);
  return scale(x, to.scale() / from.scale());
}

}  // namespace costate
