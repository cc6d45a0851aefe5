// Affine maps of samplers on Gaussian data, read off by running steps on unit vectors, and their moments.
#include "solvers/moments.h"

#include <algorithm>
#include <cmath>

namespace costate {
namespace {

using Vector = std::vector<double>;

/// Rows of equal length.
struct Matrix {
  std::size_t rows = 0, columns = 0;
  Vector of;

  Matrix(std::size_t m, std::size_t n) : rows(m), columns(n), of(m * n, 0) {}
  double& operator()(std::size_t i, std::size_t j) { return of[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return of[i * columns + j]; }
};

Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t k = 0; k < a.columns; ++k)
      for (std::size_t j = 0; j < b.columns; ++j) c(i, j) += a(i, k) * b(k, j);
  return c;
}

/// a c a^T + b b^T: the covariance after a step.
Matrix carried(const Matrix& c, const Matrix& a, const Matrix& b) {
  Matrix next(a.rows, a.rows);
  const Matrix ac = a * c;
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.rows; ++j) {
      for (std::size_t k = 0; k < a.columns; ++k) next(i, j) += ac(i, k) * a(j, k);
      for (std::size_t k = 0; k < b.columns; ++k) next(i, j) += b(i, k) * b(j, k);
    }
  return next;
}

constexpr std::size_t draws = 4;  // of one step, at most: its increment, two others, and the Levy area

/// state' = offset + map state + noise z; the state is y and what the method remembers.
struct AffineStep {
  Vector offset;
  Matrix map, noise;
};

/// Runs one step on a batch: the origin, each unit vector, each unit draw, and one combination of all as a check.
AffineStep affine_step(const Sampler& sampler, int index, std::size_t size, const Tensors& p) {
  const std::size_t rows = 1 + size + draws + 1, last = rows - 1;
  const double part_of_all = 0.375;  // of every unit vector and draw, in the check
  Sampler probe = sampler;
  probe.noise = [&](const Draw& draw, const Tensor& like) {
    require(draw.part < 3, "moments: sampler {} draws more than three times a step", sampler.stepper.name);
    Vector z(rows, 0);
    z[1 + size + (draw.area ? 3 : static_cast<std::size_t>(draw.part))] = 1, z[last] = part_of_all;
    return Tensor::from(z, like.shape(), like.kind());
  };
  const auto column = [&](std::size_t entry) {
    Vector v(rows, 0);
    v[1 + entry] = 1, v[last] = part_of_all;
    return Tensor::from(v, {static_cast<std::int64_t>(rows), 1});
  };
  State state{column(0), {}};
  for (std::size_t k = 1; k < size; ++k) state.memory.push_back(column(k));
  const State next = probe.step(index, state, p);
  Tensors out{next.y};
  out.insert(out.end(), next.memory.begin(), next.memory.end());

  AffineStep step{Vector(out.size()), Matrix(out.size(), size), Matrix(out.size(), draws)};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Vector v = out[i].to_vector();
    require(v.size() == rows, "moments: sampler {} remembers {}, which is no value of each sample",
            sampler.stepper.name, out[i].shape());
    step.offset[i] = v[0];
    double combined = v[0], extent = std::abs(v[0]);
    for (std::size_t k = 0; k < size + draws; ++k) {
      const double slope = v[1 + k] - v[0];
      (k < size ? step.map(i, k) : step.noise(i, k - size)) = slope;
      combined += part_of_all * slope, extent += std::abs(slope);
    }
    require(std::abs(v[last] - combined) <= 1e-9 * extent,
            "moments: step {} of sampler {} is not affine on Gaussian data", index + 1, sampler.stepper.name);
  }
  return step;
}

/// Two maps side by side on a state that is a pair.
Matrix beside(const Matrix& a, const Matrix& b) {
  Matrix both(a.rows + b.rows, a.columns + b.columns);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.columns; ++j) both(i, j) = a(i, j);
  for (std::size_t i = 0; i < b.rows; ++i)
    for (std::size_t j = 0; j < b.columns; ++j) both(a.rows + i, a.columns + j) = b(i, j);
  return both;
}

/// A coarse step's increment and area (rows) of its halves' (columns: increment, area, increment, area), all as standard
/// normals: W = W_1 + W_2, H = (h_1 H_1 + h_2 H_2 + (h_2 W_1 - h_1 W_2) / 2) / (h_1 + h_2).
Matrix joined(double h_1, double h_2) {
  const double h = h_1 + h_2;
  Matrix m(2, 4);
  m(0, 0) = std::sqrt(h_1 / h), m(0, 2) = std::sqrt(h_2 / h);
  m(1, 0) = std::sqrt(3 * h_1 / h) * h_2 / h, m(1, 1) = std::pow(h_1 / h, 1.5);
  m(1, 2) = -std::sqrt(3 * h_2 / h) * h_1 / h, m(1, 3) = std::pow(h_2 / h, 1.5);
  return m;
}

/// The columns of a step's increment and area.
Matrix along_path(const AffineStep& step, const std::string& name) {
  Matrix m(step.noise.rows, 2);
  for (std::size_t i = 0; i < m.rows; ++i) {
    require(step.noise(i, 1) == 0 && step.noise(i, 2) == 0,
            "moments: sampler {} draws two increments a step, whose path is not defined here", name);
    m(i, 0) = step.noise(i, 0), m(i, 1) = step.noise(i, 3);
  }
  return m;
}

}  // namespace

bool follows_one_path(const Sampler& sampler, const Tensors& p) {
  std::size_t size = 1;
  for (int i = 0; i < sampler.steps(); ++i) {
    const AffineStep step = affine_step(sampler, i, size, p);
    size = step.map.rows;
    if (step.noise(0, 0) == 0 || step.noise(0, 1) != 0 || step.noise(0, 2) != 0) return false;
  }
  return true;
}

Moments sampled_moments(const Sampler& sampler, const Tensors& p, Moments first) {
  check_grid(sampler.grid, "sampler " + sampler.stepper.name);
  Vector mean{first.mean};
  Matrix covariance(1, 1);
  covariance(0, 0) = first.variance;
  for (int i = 0; i < sampler.steps(); ++i) {
    const AffineStep step = affine_step(sampler, i, mean.size(), p);
    Vector next = step.offset;
    for (std::size_t a = 0; a < next.size(); ++a)
      for (std::size_t b = 0; b < mean.size(); ++b) next[a] += step.map(a, b) * mean[b];
    mean = next;
    covariance = carried(covariance, step.map, step.noise);
  }
  return {mean[0], covariance(0, 0)};
}

double strong_distance(const Sampler& coarse, const Sampler& fine, const Tensors& p, double first_variance) {
  require(fine.steps() == 2 * coarse.steps(), "moments: {} fine steps for {} coarse ones", fine.steps(),
          coarse.steps());
  std::size_t m = 1, n = 1;  // sizes of the coarse and of the fine state
  Matrix covariance(2, 2);
  std::fill(covariance.of.begin(), covariance.of.end(), first_variance);
  for (int i = 0; i < coarse.steps(); ++i) {
    const AffineStep whole = affine_step(coarse, i, m, p), half = affine_step(fine, 2 * i, n, p),
                     other = affine_step(fine, 2 * i + 1, half.map.rows, p);
    const auto at = static_cast<std::size_t>(2 * i);
    const double first = fine.grid[at].lambda(), middle = fine.grid[at + 1].lambda(), last = fine.grid[at + 2].lambda();
    const std::string& name = coarse.stepper.name;
    const Matrix above = along_path(whole, name) * joined(middle - first, last - middle);
    const Matrix early = other.map * along_path(half, name), late = along_path(other, name);
    Matrix noise(above.rows + late.rows, 4);
    for (std::size_t a = 0; a < above.rows; ++a)
      for (std::size_t k = 0; k < 4; ++k) noise(a, k) = above(a, k);
    for (std::size_t a = 0; a < late.rows; ++a)
      for (std::size_t k = 0; k < 4; ++k) noise(above.rows + a, k) = k < 2 ? early(a, k) : late(a, k - 2);
    covariance = carried(covariance, beside(whole.map, other.map * half.map), noise);
    m = whole.map.rows, n = other.map.rows;
  }
  return std::sqrt(std::max(0.0, covariance(0, 0) - 2 * covariance(0, m) + covariance(m, m)));
}

}  // namespace costate
