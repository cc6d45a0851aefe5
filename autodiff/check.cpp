// Checks of derivatives: difference quotients, the duality of vjp and jvp, and both at order 2.
#include "autodiff/check.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/add.h"
#include "core/random.h"

namespace costate {
namespace {

double dot(const Tensor& a, const Tensor& b) {
  const auto u = a.to_vector(), v = b.to_vector();
  long double sum = 0;
  for (std::size_t i = 0; i < u.size(); ++i) sum += static_cast<long double>(u[i]) * v[i];
  return static_cast<double>(sum);
}

double dot(const Tensors& a, const Tensors& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].defined() && b[i].defined()) sum += dot(a[i], b[i]);
  }
  return sum;
}

double norm(const Tensors& a) { return std::sqrt(dot(a, a)); }

/// Standard normal numbers like `t`; stream tells tensors and directions apart.
Tensor normal_like(const Tensor& t, std::uint64_t seed, std::uint64_t stream) {
  const auto values = normal_noise(seed, stream, 1, 0, t.shape()).to_vector();
  return Tensor::from(values, t.shape(), t.kind());
}

/// A direction in the wanted inputs with largest entry 1, so that `step` bounds how far a difference quotient strays.
Tensors direction_like(const Tensors& at, const Wanted& wanted, std::uint64_t seed, std::uint64_t stream) {
  Tensors v(at.size());
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (!wanted[i]) continue;
    auto values = normal_like(at[i], seed, stream + i).to_vector();
    double largest = 0;
    for (const double x : values) largest = std::max(largest, std::abs(x));
    for (double& x : values) x /= largest;
    v[i] = Tensor::from(values, at[i].shape(), at[i].kind());
  }
  return v;
}

Tensors moved(const Tensors& at, double t, const Tensors& v) {
  Tensors to = at;
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (v[i].defined()) to[i] = lincomb(1, at[i], t, v[i]);
  }
  return to;
}

/// d f(at + t v) / dt at t = 0 by (f3 - 9 f2 + 45 f1 - 45 f-1 + 9 f-2 - f-3) / 60 h.
Tensors six_point(const Function& f, const Tensors& at, const Tensors& v, double step) {
  constexpr double weights[] = {45, -9, 1};
  Tensors sum;
  for (int k = 1; k <= 3; ++k) {
    const Tensors ahead = f(moved(at, k * step, v)), behind = f(moved(at, -k * step, v));
    const double weight = weights[k - 1] / (60 * step);
    for (std::size_t i = 0; i < ahead.size(); ++i) {
      const Tensor term = lincomb(weight, ahead[i], -weight, behind[i]);
      if (k == 1)
        sum.push_back(term);
      else
        sum[i] = add(sum[i], term);
    }
  }
  return sum;
}

/// |a - b| in units of `scale`, or of a and b where those are larger. Not finite is as wrong as can be.
double deviation(double a, double b, double scale) {
  if (!std::isfinite(a) || !std::isfinite(b) || !std::isfinite(scale)) return INFINITY;
  return a == b ? 0 : std::abs(a - b) / std::max({scale, std::abs(a), std::abs(b)});
}

/// The worst deviation over the directions between <J^T g, v> and <g, tangent(v)>.
template <class Tangent>
double compare(const Function& f, const Tensors& at, const Wanted& wanted, const CheckOptions& options,
               Tangent&& tangent) {
  const Vjp back = vjp(f, at, wanted);
  const std::uint64_t stride = at.size() + back.value.size();
  double worst = 0;
  for (int d = 0; d < options.directions; ++d) {
    const std::uint64_t stream = static_cast<std::uint64_t>(d) * stride;
    const Tensors v = direction_like(at, wanted, options.seed, stream);
    Tensors g;
    for (const auto& y : back.value) g.push_back(normal_like(y, options.seed, stream + at.size() + g.size()));
    const Tensors jv = tangent(v);
    worst = std::max(worst, deviation(dot(back.pull(g), v), dot(g, jv), norm(jv)));
  }
  return worst;
}

}  // namespace

double difference_step(DType through) { return std::pow(epsilon_of(through), 1.0 / 7); }

double difference_deviation(const Function& f, const Tensors& at, const Wanted& wanted, const CheckOptions& options) {
  return compare(f, at, wanted, options,
                 [&](const Tensors& v) { return six_point(f, at, v, difference_step(options.through)); });
}

double duality_deviation(const Function& f, const Tensors& at, const Wanted& wanted, const CheckOptions& options) {
  return compare(f, at, wanted, options, [&](const Tensors& v) { return jvp(f, at, v).second; });
}

Function pullback_function(const Function& f, std::size_t inputs, const Wanted& wanted) {
  return [f, inputs, wanted](const Tensors& in) {
    const auto middle = in.begin() + static_cast<std::ptrdiff_t>(inputs);
    const Tensors all = vjp(f, Tensors(in.begin(), middle), wanted).pull_once(Tensors(middle, in.end()));
    Tensors asked;
    for (const auto& t : all) {
      if (t.defined()) asked.push_back(t);
    }
    return asked;
  };
}

DerivativeReport check_derivatives(const Function& f, const Tensors& at, Wanted wanted, const CheckOptions& options) {
  if (wanted.empty()) {
    for (const auto& t : at) wanted.push_back(is_floating(t.dtype()));
  }
  require(wanted.size() == at.size(), "check: {} flags for {} inputs", wanted.size(), at.size());
  Tensors with_cotangents = at;
  Wanted all = wanted;
  for (const auto& y : f(at)) {
    with_cotangents.push_back(normal_like(y, options.seed + 1, with_cotangents.size()));
    all.push_back(true);
  }
  const Function pullback = pullback_function(f, at.size(), wanted);
  return {difference_deviation(f, at, wanted, options), duality_deviation(f, at, wanted, options),
          difference_deviation(pullback, with_cotangents, all, options),
          duality_deviation(pullback, with_cotangents, all, options)};
}

}  // namespace costate
