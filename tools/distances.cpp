// Distances between two samples of distributions.
#include "tools/distances.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/linear.h"
#include "core/random.h"

namespace costate {
namespace {

using Rows = std::vector<double>;

struct Sample {
  Rows of;
  std::size_t rows, length;
  [[nodiscard]] const double* row(std::size_t i) const { return of.data() + i * length; }
};

Sample sample_of(const Tensor& t) {
  const auto n = static_cast<std::size_t>(t.dim(0));
  return {t.to_vector(), n, static_cast<std::size_t>(t.size()) / n};
}

double distance(const double* a, const double* b, std::size_t length) {
  double square = 0;
  for (std::size_t e = 0; e < length; ++e) square += (a[e] - b[e]) * (a[e] - b[e]);
  return std::sqrt(square);
}

/// The squared Wasserstein-2 distance of two sorted samples: both quantile functions are steps.
double wasserstein_2(const Rows& a, const Rows& b) {
  const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
  double sum = 0, at = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const double end_a = static_cast<double>(i + 1) / n, end_b = static_cast<double>(j + 1) / m;
    const double next = std::min(end_a, end_b);
    sum += (next - at) * (a[i] - b[j]) * (a[i] - b[j]);
    at = next;
    if (end_a <= next) ++i;
    if (end_b <= next) ++j;
  }
  return sum;
}

/// Values of all rows along unit vectors (d, k): sorted, by direction.
std::vector<Rows> projected(const Tensor& x, const Tensor& directions) {
  const std::int64_t n = x.dim(0), k = directions.dim(1);
  const auto values = linear(x.reshaped({n, x.size() / n}), directions).to_vector();
  std::vector<Rows> sorted(static_cast<std::size_t>(k));
  for (std::size_t i = 0; i < values.size(); ++i) sorted[i % sorted.size()].push_back(values[i]);
  for (auto& line : sorted) std::sort(line.begin(), line.end());
  return sorted;
}

double sliced(const Tensor& x, const Tensor& y, int count, std::uint64_t seed) {
  const std::int64_t d = x.size() / x.dim(0);
  auto vectors = normal_noise(seed, 0, 1, 0, {d, count}).to_vector();
  const auto columns = static_cast<std::size_t>(count);
  std::vector<double> norm(columns, 0);
  for (std::size_t i = 0; i < vectors.size(); ++i) norm[i % columns] += vectors[i] * vectors[i];
  for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] /= std::sqrt(norm[i % columns]);
  const Tensor directions = Tensor::from(vectors, {d, count});
  const auto a = projected(x, directions), b = projected(y, directions);
  double sum = 0;
  for (std::size_t k = 0; k < columns; ++k) sum += wasserstein_2(a[k], b[k]);
  return std::sqrt(sum / count);
}

double mean_distance(const Sample& x, const Sample& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < y.rows; ++j) sum += distance(x.row(i), y.row(j), x.length);
  return sum / static_cast<double>(x.rows * y.rows);
}

/// Over pairs of distinct rows.
double mean_distance_within(const Sample& x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < i; ++j) sum += distance(x.row(i), x.row(j), x.length);
  return 2 * sum / static_cast<double>(x.rows * (x.rows - 1));
}

Rows centred(Sample& x) {
  Rows mean(x.length, 0);
  for (std::size_t i = 0; i < x.of.size(); ++i) mean[i % x.length] += x.of[i] / static_cast<double>(x.rows);
  for (std::size_t i = 0; i < x.of.size(); ++i) x.of[i] -= mean[i % x.length];
  return mean;
}

/// tr(cov x cov y) of centred rows, without the matrices (d, d): from inner products of rows.
double trace_of_product(const Sample& x, const Sample& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < y.rows; ++j) {
      double inner = 0;
      for (std::size_t e = 0; e < x.length; ++e) inner += x.row(i)[e] * y.row(j)[e];
      sum += inner * inner;
    }
  return sum / static_cast<double>((x.rows - 1) * (y.rows - 1));
}

}  // namespace

Distances distances_between(const Tensor& x, const Tensor& y, int directions, std::uint64_t seed) {
  require(x.dim(0) > 1 && y.dim(0) > 1 && x.size() / x.dim(0) == y.size() / y.dim(0),
          "distances: {} samples and {} data should be two or more each, of one length", x.shape(), y.shape());
  Sample a = sample_of(x), b = sample_of(y);
  const double root = std::sqrt(static_cast<double>(a.length));
  Distances d;
  d.sliced_wasserstein = sliced(x, y, directions, seed);
  d.energy = (2 * mean_distance(a, b) - mean_distance_within(a) - mean_distance_within(b)) / root;
  const Rows mean_a = centred(a), mean_b = centred(b);
  d.mean = distance(mean_a.data(), mean_b.data(), a.length) / root;
  const double own = trace_of_product(b, b);
  d.covariance = std::sqrt(std::max(0.0, trace_of_product(a, a) - 2 * trace_of_product(a, b) + own) / own);
  return d;
}

}  // namespace costate
