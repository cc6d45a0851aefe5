// Denoiser: one evaluation of the network, read as eps or as x_0.
#include "solvers/denoiser.h"

#include <cmath>
#include <utility>

#include "autodiff/ops/add.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/scale.h"
#include "solvers/halves.h"

namespace costate {
namespace {

constexpr std::pair<const char*, Prediction> predictions[] = {
    {"epsilon", Prediction::epsilon}, {"sample", Prediction::sample}, {"v_prediction", Prediction::v},
    {"noise", Prediction::noise},     {"score", Prediction::score},   {"flow", Prediction::flow},
    {"edm", Prediction::edm},         {"edm_v", Prediction::edm_v}};

/// A combination of the canonical state y and the network's output.
struct Mix {
  double y, out;
};

struct Mixes {
  Mix x_0, eps;
  Denoiser::Parts out;
};

// All from x = alpha x_0 + sigma eps, which for x = c y with c = alpha reads y = x_0 + s eps. A coefficient that is not
// finite says that the level and this prediction leave the value undetermined.
Mixes mixes(const Denoiser& d, const Level& at) {
  const double a = at.alpha, g = at.sigma, c = at.scale(), n = std::hypot(a, g), s = at.s();
  switch (d.prediction) {
    case Prediction::epsilon:
      return {{c / a, -s}, {0, 1}, {0, 1}};
    case Prediction::sample:
      return {{0, 1}, {c / g, -a / g}, {1, 0}};
    case Prediction::v:
      return {{a * c / (n * n), -g / n}, {g * c / (n * n), a / n}, {-g / n, a / n}};
    case Prediction::noise:
      return {{c / a, -1 / a}, {0, 1 / g}, {0, g}};
    case Prediction::score:
      return {{c / a, g * s}, {0, -g}, {0, -1 / g}};
    case Prediction::flow:
      return {{c / (a + g), -g / (a + g)}, {c / (a + g), a / (a + g)}, {-1, 1}};
    case Prediction::edm:
    case Prediction::edm_v: {
      const double m = std::hypot(s, d.sigma_data);
      const double skip = d.sigma_data * d.sigma_data / (m * m);
      const double f = (d.prediction == Prediction::edm ? 1 : -1) * d.sigma_data / m;
      return {{skip, s * f}, {s / (m * m), -f}, {s / (m * m * f), -skip / f}};
    }
  }
  fail("denoiser: unknown prediction {}", static_cast<int>(d.prediction));
}

/// The network's output for y, in the dtype of y.
Tensor evaluate(const Denoiser& d, const Tensor& y, const Level& at, const Tensors& p) {
  require(at.scale() > 0 && at.sigma >= 0, "denoiser: level t = {} has alpha = {} and sigma = {}", at.t, at.alpha,
          at.sigma);
  const Tensor out = halves(d.net(cast(scale(y, d.input_scale(at)), d.dtype), at, p), y).prediction;
  require(
      out.shape() == y.shape(),
      "denoiser: the network returned {} for a state {}; what is sampled returns the shape of its state, or twice the "
      "channels (a classifier or an encoder does not)",
      out.shape(), y.shape());
  require(out.dtype() == d.dtype, "denoiser: the network returned {}, where {} was agreed", name_of(out.dtype()),
          name_of(d.dtype));
  return cast(out, y.dtype());
}

Tensor apply_mix(const Mix& m, const char* what, const Level& at, const Tensor& y, const Tensor& out) {
  require(std::isfinite(m.y) && std::isfinite(m.out),
          "denoiser: at t = {} (alpha = {}, sigma = {}) this network's prediction does not determine {}; let the grid "
          "begin or end at another level, or take a method that does not evaluate there",
          at.t, at.alpha, at.sigma, what);
  if (m.out == 0 && m.y == 1) return y;
  if (m.y != 0) return lincomb(m.y, y, m.out, out);
  return m.out == 1 ? out : scale(out, m.out);
}

/// eps of a given x_0: (x - alpha x_0) / sigma.
Tensor eps_of(const Tensor& x_0, const Tensor& y, const Level& at) {
  return apply_mix({at.scale() / at.sigma, -at.alpha / at.sigma}, "eps", at, y, x_0);
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

double Denoiser::input_scale(const Level& at) const {
  const bool edm = prediction == Prediction::edm || prediction == Prediction::edm_v;
  return edm ? 1 / std::hypot(at.s(), sigma_data) : at.scale();
}

Denoiser::Parts Denoiser::output(const Level& at) const { return mixes(*this, at).out; }

double Denoiser::eps_per_output(const Level& at) const { return mixes(*this, at).eps.out; }

Tensor Denoiser::eps(const Tensor& y, const Level& at, const Tensors& p) const {
  if (correct && eps_follows) return eps_of(x0(y, at, p), y, at);
  return apply_mix(mixes(*this, at).eps, "eps", at, y, evaluate(*this, y, at, p));
}

Tensor Denoiser::x0(const Tensor& y, const Level& at, const Tensors& p) const {
  const Tensor x_0 = apply_mix(mixes(*this, at).x_0, "x_0", at, y, evaluate(*this, y, at, p));
  return correct ? correct(x_0, at) : x_0;
}

Denoiser::Both Denoiser::both(const Tensor& y, const Level& at, const Tensors& p) const {
  const Tensor out = evaluate(*this, y, at, p);
  const Mixes m = mixes(*this, at);
  const Tensor x_0 = apply_mix(m.x_0, "x_0", at, y, out);
  const Tensor corrected = correct ? correct(x_0, at) : x_0;
  return {corrected, correct && eps_follows ? eps_of(corrected, y, at) : apply_mix(m.eps, "eps", at, y, out)};
}

void count_evaluations(Denoiser& d, std::int64_t& count) {
  d.net = [inner = d.net, &count](const Tensor& x, const Level& at, const Tensors& p) {
    ++count;
    return inner(x, at, p);
  };
}

}  // namespace costate
