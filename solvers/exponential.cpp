// Moments of exponentials, and the weights of interpolating polynomials.
#include "solvers/exponential.h"

#include <cmath>

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "solvers/quadrature.h"

namespace costate {

Form form_from(const Config& options, Form otherwise) {
  return options.choice("form", otherwise == Form::noise ? "noise" : "data", {"noise", "data"}) == "noise" ? Form::noise
                                                                                                           : Form::data;
}

Tensor field(Form form, const Step& step, const Tensor& y, const Level& at) {
  return form == Form::noise ? step.denoiser.eps(y, at, step.p) : step.denoiser.x0(y, at, step.p);
}

Tensor combine(const Weights& w, const Tensor& y, const Tensors& values) {
  Tensor sum = w.keep == 0 ? scale(values[0], w.of[0]) : lincomb(w.keep, y, w.of[0], values[0]);
  for (std::size_t k = 1; k < w.of.size(); ++k) {
    if (w.of[k] != 0) sum = lincomb(1, sum, w.of[k], values[k]);
  }
  return sum;
}

Weights moments(Form form, const Level& from, const Level& to, std::size_t count) {
  const double s = from.s(), q = to.s() / s;
  Weights w{form == Form::noise ? 1 : q, {form == Form::noise ? to.s() - s : 1 - q}};
  if (count > 1) require(to.s() > 0, "exponential integrator: a step to sigma = 0 is infinite in lambda; order 1 only");
  const double h = count > 1 ? to.lambda() - from.lambda() : 0;
  for (std::size_t k = 1; k < count; ++k) {
    w.of.push_back(form == Form::noise
                       ? -s * h * integrate([&](double u) { return std::exp(-h * u) * power(u, k); }, 0, 1)
                       : h * integrate([&](double u) { return std::exp(-h * (1 - u)) * power(u, k); }, 0, 1));
  }
  return w;
}

Weights interpolate(const Weights& moments, const std::vector<double>& nodes) {
  Weights w{moments.keep, {}};
  for (std::size_t j = 0; j < nodes.size(); ++j) {
    const auto c = lagrange_coefficients(nodes, j);
    double sum = 0;
    for (std::size_t i = 0; i < c.size(); ++i) sum += c[i] * moments.of[i];
    w.of.push_back(sum);
  }
  return w;
}

}  // namespace costate
