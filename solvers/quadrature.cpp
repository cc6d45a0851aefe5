// Gauss-Legendre quadrature with ten points, and Lagrange polynomials.
#include "solvers/quadrature.h"

#include <algorithm>
#include <cmath>

namespace costate {
namespace {

struct Node {
  double x, weight;
};
constexpr Node nodes_of_ten[] = {{0.1488743389816312, 0.2955242247147529},
                                 {0.4333953941292472, 0.2692667193099964},
                                 {0.6794095682990244, 0.2190863625159820},
                                 {0.8650633666889845, 0.1494513491505806},
                                 {0.9739065285171717, 0.0666713443086881}};
constexpr int deepest = 45;  // halvings: reaches a logarithmic singularity at an end to rounding

double gauss(const std::function<double(double)>& f, double a, double b) {
  const double middle = (a + b) / 2, half = (b - a) / 2;
  double sum = 0;
  for (const auto& [x, weight] : nodes_of_ten) sum += weight * (f(middle - half * x) + f(middle + half * x));
  return half * sum;
}

/// `whole` is the integral from a to b as gauss() sees it; `scale` what errors are measured by.
double refined(const std::function<double(double)>& f, double a, double b, double whole, double scale, int depth) {
  const double middle = (a + b) / 2, left = gauss(f, a, middle), right = gauss(f, middle, b);
  if (depth == 0 || std::abs(left + right - whole) <= 1e-15 * scale) return left + right;
  return refined(f, a, middle, left, scale, depth - 1) + refined(f, middle, b, right, scale, depth - 1);
}

}  // namespace

double integrate(const std::function<double(double)>& f, double a, double b) {
  return a == b ? 0 : integrate(f, {a, b});
}

double integrate(const std::function<double(double)>& f, const std::vector<double>& ends) {
  double scale = 0, sum = 0;
  for (std::size_t i = 0; i + 1 < ends.size(); ++i)
    scale += std::abs(gauss([&](double x) { return std::abs(f(x)); }, ends[i], ends[i + 1]));
  for (std::size_t i = 0; i + 1 < ends.size(); ++i)
    sum += refined(f, ends[i], ends[i + 1], gauss(f, ends[i], ends[i + 1]), scale, deepest);
  return sum;
}

double lagrange(const std::vector<double>& nodes, std::size_t j, double x) {
  double product = 1;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k != j) product *= (x - nodes[k]) / (nodes[j] - nodes[k]);
  }
  return product;
}

std::vector<double> lagrange_coefficients(const std::vector<double>& nodes, std::size_t j) {
  std::vector<double> c = {1};
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k == j) continue;
    c.push_back(0);
    for (std::size_t i = c.size(); i-- > 0;) c[i] = ((i > 0 ? c[i - 1] : 0) - nodes[k] * c[i]) / (nodes[j] - nodes[k]);
  }
  return c;
}

}  // namespace costate
