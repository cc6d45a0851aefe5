// Integrals of smooth functions on the host, to rounding: the weights of multistep and exponential methods.
#pragma once

#include <functional>
#include <vector>

namespace costate {

/// Integral of f from a to b by Gauss-Legendre quadrature, intervals halved until that changes nothing. f is not asked
/// for its value at the ends, where it may have an integrable singularity.
double integrate(const std::function<double(double)>& f, double a, double b);
/// The same of f, f^2 ... f^count, at most 3, from the first of `ends` to the last, where f is smooth only between neighbouring ones.
std::vector<double> integrate_powers(const std::function<double(double)>& f, std::size_t count,
                                     const std::vector<double>& ends);

/// x^k, where std::pow would take longer than what it is integrated with.
inline double power(double x, std::size_t k) {
  double product = 1;
  for (; k > 0; --k) product *= x;
  return product;
}

/// The Lagrange polynomial that is 1 at node j and 0 at the others: its value at x, and its coefficients from x^0 up.
double lagrange(const std::vector<double>& nodes, std::size_t j, double x);
std::vector<double> lagrange_coefficients(const std::vector<double>& nodes, std::size_t j);

}  // namespace costate
