// The three projections of a time.
#include "nn/time_embedding.h"

#include <cmath>
#include <numbers>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/cos.h"
#include "autodiff/ops/rows.h"
#include "autodiff/ops/sin.h"

namespace costate {
namespace {

// Angles reach thousands of turns, so they are f64 whatever the network computes in; still ops: W is differentiable.
Tensor fourier_features(const TimeProjection& how, const std::vector<double>& t, Kind kind) {
  std::vector<double> turns;
  for (const double value : t) {
    require(!how.of_log || value > 0, "time embedding: Fourier features take the logarithm of the time, which is {}",
            value);
    turns.push_back(how.of_log ? std::log(value) : value);
  }
  const Shape column{static_cast<std::int64_t>(t.size()), 1};
  const Tensor frequencies = reshape(cast(how.weight, DType::f64), {1, how.weight.dim(0)});
  // In the order of the originals, of which score_sde and diffusers learn W and EDM has constants: of thousands of radians,
  // rounding leaves 1e-12.
  const Kind wide = kind.with(DType::f64);
  const Tensor times = Tensor::from(turns, column, wide);
  constexpr double turn = 2 * std::numbers::pi;
  const Tensor angles = how.radians  ? times * frequencies
                        : how.buffer ? times * (frequencies * turn)
                                     : times * frequencies * turn;
  Tensors parts{sin(angles), cos(angles)};
  if (how.cos_first) std::swap(parts[0], parts[1]);
  if (how.with_time) parts.insert(parts.begin(), Tensor::from(t, column, wide));
  return cast(concat(parts, 1), kind.dtype);
}

}  // namespace

Tensor table_rows(const std::vector<double>& t, const Tensor& table) {
  for (const double value : t)
    require(value >= 0 && value < static_cast<double>(table.dim(0)) && value == std::floor(value),
            "time embedding: time {} is not a row of the learned table of {}", value, table.dim(0));
  return gather_rows(table, Tensor::from(t, {static_cast<std::int64_t>(t.size())}, DType::i32));
}

Tensor sinusoids(const std::vector<double>& t, std::int64_t width, bool cos_first, double freq_shift, Kind kind,
                 double theta) {
  const auto rows = static_cast<std::int64_t>(t.size()), half = width / 2;
  require(static_cast<double>(half) != freq_shift, "time embedding: width {} with freq_shift {} has no frequencies",
          width, freq_shift);
  std::vector<double> frequencies, values(static_cast<std::size_t>(rows * width), 0.0);
  for (std::int64_t k = 0; k < half; ++k)
    frequencies.push_back(
        std::exp(-std::log(theta) * static_cast<double>(k) / (static_cast<double>(half) - freq_shift)));
  for (std::int64_t i = 0; i < rows; ++i) {
    double* const row = values.data() + i * width;
    for (std::int64_t k = 0; k < half; ++k) {
      const double angle = t[static_cast<std::size_t>(i)] * frequencies[static_cast<std::size_t>(k)];
      row[cos_first ? half + k : k] = std::sin(angle);
      row[cos_first ? k : half + k] = std::cos(angle);
    }
  }
  return Tensor::from(values, {rows, width}, kind);
}

Tensor TimeProjection::operator()(const std::vector<double>& t, costate::Kind like) const {
  if (kind == Kind::fourier) return fourier_features(*this, t, like);
  if (kind == Kind::learned) return table_rows(t, weight);
  if (!half_log) return sinusoids(t, width, cos_first, freq_shift, like, theta);
  std::vector<double> logs;
  for (const double value : t) {
    require(value > 0, "time embedding: takes the logarithm of the time, which is {}", value);
    logs.push_back(std::log(value) / 2);
  }
  return sinusoids(logs, width, cos_first, freq_shift, like, theta);
}

}  // namespace costate
