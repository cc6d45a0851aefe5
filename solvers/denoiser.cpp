// Denoiser: one evaluation of the network, read as eps or as x_0.
#include "solvers/denoiser.h"

#include <cmath>
#include <utility>

#include "autodiff/ops/add.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/scale.h"

namespace costate {
namespace {

constexpr std::pair<const char*, Prediction> predictions[] = {{"epsilon", Prediction::epsilon},
                                                              {"sample", Prediction::sample},
                                                              {"v_prediction", Prediction::v},
                                                              {"noise", Prediction::noise}};

/// A combination of the canonical state y and the network's output.
struct Mix {
  double y, out;
};

// All from x = alpha x_0 + sigma eps, which for y = x / alpha reads y = x_0 + s eps.
Mix eps_from(Prediction p, const Level& at) {
  const double norm = std::hypot(at.alpha, at.sigma);
  switch (p) {
    case Prediction::epsilon:
      return {0, 1};
    case Prediction::sample:
      return {1 / at.s(), -1 / at.s()};
    case Prediction::v:
      return {at.alpha * at.sigma / (norm * norm), at.alpha / norm};
    case Prediction::noise:
      return {0, 1 / at.sigma};
  }
  fail("denoiser: unknown prediction {}", static_cast<int>(p));
}

Mix x0_from(Prediction p, const Level& at) {
  const double norm = std::hypot(at.alpha, at.sigma);
  switch (p) {
    case Prediction::epsilon:
      return {1, -at.s()};
    case Prediction::sample:
      return {0, 1};
    case Prediction::v:
      return {at.alpha * at.alpha / (norm * norm), -at.sigma / norm};
    case Prediction::noise:
      return {1, -1 / at.alpha};
  }
  fail("denoiser: unknown prediction {}", static_cast<int>(p));
}

/// The network's output for y, in the dtype of y.
Tensor evaluate(const Denoiser& d, const Tensor& y, const Level& at, const Tensors& p) {
  require(at.alpha > 0 && at.sigma >= 0,
          "denoiser: level t = {} has alpha = {} and sigma = {}; x / alpha must exist, so start where there is signal",
          at.t, at.alpha, at.sigma);
  const Tensor out = d.net(cast(scale(y, at.alpha), d.dtype), at, p);
  require(out.shape() == y.shape(), "denoiser: the network returned {} for a state {}", out.shape(), y.shape());
  require(out.dtype() == d.dtype, "denoiser: the network returned {}, where {} was agreed", name_of(out.dtype()),
          name_of(d.dtype));
  return cast(out, y.dtype());
}

Tensor apply_mix(const Mix& m, const Level& at, const Tensor& y, const Tensor& out) {
  require(
      std::isfinite(m.y) && std::isfinite(m.out),
      "denoiser: at the clean end (t = {}, sigma = {}) this network's prediction does not determine eps; end the grid "
      "at the schedule's first level, or take a method that does not evaluate there",
      at.t, at.sigma);
  if (m.y != 0) return lincomb(m.y, y, m.out, out);
  return m.out == 1 ? out : scale(out, m.out);
}

}  // namespace

Prediction prediction_from(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, p] : predictions) {
    if (name == known) return p;
    names.emplace_back(known);
  }
  fail_unknown("prediction", name, names);
}

std::string name_of(Prediction p) {
  for (const auto& [name, known] : predictions) {
    if (known == p) return name;
  }
  fail("denoiser: unknown prediction {}", static_cast<int>(p));
}

Tensor Denoiser::eps(const Tensor& y, const Level& at, const Tensors& p) const {
  return apply_mix(eps_from(prediction, at), at, y, evaluate(*this, y, at, p));
}

Tensor Denoiser::x0(const Tensor& y, const Level& at, const Tensors& p) const {
  return apply_mix(x0_from(prediction, at), at, y, evaluate(*this, y, at, p));
}

}  // namespace costate
