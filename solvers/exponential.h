// Exponential integrators: a step of dy = eps ds for which eps, or x_0, is a polynomial in lambda.
//
// With u = (lambda - lambda_from) / h, which runs from 0 to 1, the solution for a field c_0 + c_1 u + c_2 u^2 ... is
//   noise (field eps):   y' = y          - s_from h sum_k c_k int_0^1 e^(-h u) u^k du
//   data (field x_0):    y' = (s'/s) y   +        h sum_k c_k int_0^1 e^(-h (1 - u)) u^k du
// DPM-Solver, DPM-Solver++ and UniPC are choices of the c_k (Lu et al. 2022, (3.4); "DPM-Solver++", (9)).
#pragma once

#include <vector>

#include "solvers/stepper.h"

namespace costate {

/// Which field is taken for a polynomial.
enum class Form { noise, data };
/// Option `form`: noise or data.
Form form_from(const Config& options, Form otherwise);
Tensor field(Form form, const Step& step, const Tensor& y, const Level& at);

/// y' = keep y + sum_k of[k] (k-th value of the field)
struct Weights {
  double keep = 1;
  std::vector<double> of;
};
Tensor combine(const Weights& w, const Tensor& y, const Tensors& values);

/// The weights of c_0, c_1 ... c_(count - 1). At s' = 0 (h infinite) only c_0 has one.
Weights moments(Form form, const Level& from, const Level& to, std::size_t count);
/// The weights of values at nodes u: those of the polynomial through them.
Weights interpolate(const Weights& moments, const std::vector<double>& nodes);

}  // namespace costate
