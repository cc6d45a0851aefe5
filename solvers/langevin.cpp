// Langevin steps in x at a level, written in y.
#include "solvers/langevin.h"

#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/sqrt.h"
#include "autodiff/ops/sum.h"

namespace costate {
namespace {

Shape ones(int rank) { return Shape(std::vector<std::int64_t>(static_cast<std::size_t>(rank), 1)); }

/// (n, 1, ...)
Tensor row_norms(const Tensor& t) { return sqrt(sum_to(t * t, ones(t.rank()).with(0, t.dim(0)))); }

/// The mean of (n, 1, ...), for every row.
Tensor mean_for_all(const Tensor& t) { return broadcast_to(reshape(mean(t), ones(t.rank())), t.shape()); }

/// sqrt(h) for every element of y.
Tensor root_of_step(const Langevin& m, const Step& step, const Tensor& score, const Tensor& z) {
  const double sigma = step.from().sigma;
  if (m.size == Langevin::Size::fixed) return Tensor::full(z.shape(), std::sqrt(m.step) * sigma, z.kind());
  const double c = std::sqrt(2) * forward_step(m.discretization, step).decay * m.snr;
  if (m.size == Langevin::Size::ald) return Tensor::full(z.shape(), c * sigma, z.kind());
  const Tensor a = row_norms(z), b = row_norms(score), ratio = m.mean_norms ? mean_for_all(a) / mean_for_all(b) : a / b;
  return broadcast_to(c * ratio, z.shape());
}

}  // namespace

std::vector<std::string> langevin_options() { return {"snr", "times", "norms", "discretization"}; }

Langevin langevin_from(const Config& options, Langevin::Size size) {
  using Size = Langevin::Size;
  const Langevin m{.size = size,
                   .snr = options.number("snr", 0.16),
                   .step = options.number("step", 0.1),
                   .times = static_cast<int>(options.integer("times", 1)),
                   .mean_norms = options.choice("norms", "sample", {"sample", "batch"}) == "batch",
                   .curvature = options.number("curvature", 0),
                   .flow = particles_from(options.text("flow_by", "none")),
                   .bandwidth = options.number("bandwidth", 1),
                   .discretization = discretization_from(options)};
  require(m.snr > 0 && m.step > 0 && m.times >= 0, "{}: wants snr > 0, step > 0 and times >= 0, got {}, {}, {}",
          options.where(), m.snr, m.step, m.times);
  require(m.curvature >= 0 && m.bandwidth > 0, "{}: wants curvature >= 0 and bandwidth > 0, got {} and {}",
          options.where(), m.curvature, m.bandwidth);
  require(m.flow == Particles::none || (m.curvature == 0 && m.size != Size::langevin),
          "{}: particles flow with size = ald or fixed and curvature = 0", options.where());
  return m;
}

Batching batching_of(const Langevin& m) {
  const bool couples = m.flow != Particles::none || (m.size == Langevin::Size::langevin && m.mean_norms);
  return couples ? Batching::all_at_once : Batching::any;
}

namespace {

Tensor flowed(const Langevin& m, const Step& step, const Tensor& y, const Tensor& score) {
  const Level& at = step.from();
  const Tensor root = root_of_step(m, step, score, score);
  const Tensor direction = particle_direction(m.flow, at.alpha * y, score, m.bandwidth * at.sigma);
  return y + (root * root * direction) / at.alpha;
}

Corrected moved(const Langevin& m, const Step& step, const Tensor& y, const Tensor& score, const Tensor& z) {
  const double alpha = step.from().alpha, k = m.curvature / std::pow(step.from().sigma, 2);
  const Tensor root = root_of_step(m, step, score, z);
  if (m.curvature == 0) {
    const Tensor mean = y + (root * root * score) / alpha;
    return {mean + (std::sqrt(2) / alpha) * (root * z), mean};
  }
  const Tensor x = alpha * y, M = k * (x * x) + 1;
  const Tensor mean = y + (root * root * (M * score + 2 * k * x)) / alpha;
  return {mean + (std::sqrt(2) / alpha) * (root * sqrt(M) * z), mean};
}

}  // namespace

Corrected langevin(const Langevin& m, const Step& step, const Tensor& y, int part) {
  const Level& at = step.from();
  Corrected now{y, y};
  for (int i = 0; i < m.times; ++i) {
    const Tensor score = step.denoiser.eps(now.y, at, step.p) * (-1 / at.sigma);
    if (m.flow == Particles::none)
      now = moved(m, step, now.y, score, step.extra_normal(y, part + i));
    else
      now.y = now.mean = flowed(m, step, now.y, score);
  }
  return now;
}

}  // namespace costate
