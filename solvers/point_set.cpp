// Distances to a finite data set, and admissible schedules.
#include "solvers/point_set.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace costate {
namespace {

/// |y_i - k|^2 for all rows and points, shown to see(row, point, square).
template <class See>
void each_square(const Tensor& points, const Tensor& y, See&& see) {
  require(points.rank() == 2 && y.rank() == 2 && points.dim(1) == y.dim(1),
          "point set: points {} and states {} should be (m, d) and (n, d)", points.shape(), y.shape());
  const auto k = points.to_vector(), v = y.to_vector();
  const auto m = static_cast<std::size_t>(points.dim(0)), n = static_cast<std::size_t>(y.dim(0)),
             d = static_cast<std::size_t>(y.dim(1));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < m; ++j) {
      double square = 0;
      for (std::size_t e = 0; e < d; ++e) square += (v[i * d + e] - k[j * d + e]) * (v[i * d + e] - k[j * d + e]);
      see(i, j, square);
    }
}

}  // namespace

ExactProblem point_set(const Tensor& points) {
  require(points.rank() == 2 && points.dim(0) > 0, "point set: points {} should be (m, d)", points.shape());
  const auto v = points.to_vector();
  const auto d = static_cast<std::ptrdiff_t>(points.dim(1));
  auto rows = nlohmann::json::array();
  for (auto from = v.begin(); from != v.end(); from += d) rows.push_back(std::vector<double>(from, from + d));
  return exact_problem(Config(nlohmann::json{{"family", "dirac_set"}, {"points", rows}}, "point set"));
}

Nearest nearest_points(const Tensor& points, const Tensor& y) {
  const auto n = static_cast<std::size_t>(y.dim(0)), d = static_cast<std::size_t>(y.dim(1));
  std::vector<std::size_t> which(n, 0);
  std::vector<double> least(n, INFINITY), found;
  each_square(points, y, [&](std::size_t i, std::size_t j, double square) {
    if (square < least[i]) least[i] = square, which[i] = j;
  });
  const auto k = points.to_vector();
  for (std::size_t i = 0; i < n; ++i) {
    found.insert(found.end(), k.begin() + static_cast<std::ptrdiff_t>(which[i] * d),
                 k.begin() + static_cast<std::ptrdiff_t>((which[i] + 1) * d));
    least[i] = std::sqrt(least[i]);
  }
  return {Tensor::from(found, y.shape(), y.kind()), least};
}

std::vector<double> smoothed_distance(const Tensor& points, const Tensor& y, double s) {
  const Nearest nearest = nearest_points(points, y);  // taken out of the sum, which would underflow
  std::vector<double> sum(nearest.distance.size(), 0);
  each_square(points, y, [&](std::size_t i, std::size_t, double square) {
    sum[i] += std::exp((nearest.distance[i] * nearest.distance[i] - square) / (2 * s * s));
  });
  for (std::size_t i = 0; i < sum.size(); ++i)
    sum[i] = nearest.distance[i] * nearest.distance[i] / 2 - s * s * std::log(sum[i]);
  return sum;
}

bool is_admissible(const std::vector<double>& s, const ErrorModel& model) {
  double kept = 1, slow = 1, fast = 1;
  for (std::size_t i = 0; i + 1 < s.size(); ++i) {
    const double beta = 1 - s[i + 1] / s[i];
    kept *= 1 - beta, slow *= 1 + beta * (model.eta - 1), fast *= 1 - beta * (model.eta + 1);
    if (fast <= 0 || slow / model.nu > kept || kept > model.nu * fast) return false;
  }
  return true;
}

double largest_beta(const ErrorModel& model, int steps) {
  require(model.eta >= 0 && model.nu >= 1 && steps > 0,
          "error model: wants eta >= 0, nu >= 1 and steps, got {}, {}, {}", model.eta, model.nu, steps);
  const double c = -std::expm1(-std::log(model.nu) / steps);
  return model.eta + c > 0 ? c / (model.eta + c) : 1;
}

}  // namespace costate
