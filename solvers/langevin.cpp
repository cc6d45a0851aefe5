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
  if (m.size == Langevin::Size::fixed) return Tensor::full(z.shape(), std::sqrt(m.step) * sigma, z.dtype());
  const double c = std::sqrt(2) * forward_step(m.discretization, step).decay * m.snr;
  if (m.size == Langevin::Size::ald) return Tensor::full(z.shape(), c * sigma, z.dtype());
  const Tensor a = row_norms(z), b = row_norms(score), ratio = m.mean_norms ? mean_for_all(a) / mean_for_all(b) : a / b;
  return broadcast_to(c * ratio, z.shape());
}

}  // namespace

std::vector<std::string> langevin_options() { return {"snr", "times", "norms", "discretization"}; }

Langevin langevin_from(const Config& options, Langevin::Size size) {
  const Langevin m{.size = size,
                   .snr = options.number("snr", 0.16),
                   .step = options.number("step", 0.1),
                   .times = static_cast<int>(options.integer("times", 1)),
                   .mean_norms = options.choice("norms", "sample", {"sample", "batch"}) == "batch",
                   .discretization = discretization_from(options)};
  require(m.snr > 0 && m.step > 0 && m.times >= 0, "{}: wants snr > 0, step > 0 and times >= 0, got {}, {}, {}",
          options.where(), m.snr, m.step, m.times);
  return m;
}

Batching batching_of(const Langevin& m) {
  return m.size == Langevin::Size::langevin && m.mean_norms ? Batching::all_at_once : Batching::any;
}

Corrected langevin(const Langevin& m, const Step& step, const Tensor& y, int part) {
  const Level& at = step.from();
  Corrected now{y, y};
  for (int i = 0; i < m.times; ++i) {
    const Tensor score = step.denoiser.eps(now.y, at, step.p) * (-1 / at.sigma);
    const Tensor z = step.extra_normal(y, part + i);
    const Tensor root = root_of_step(m, step, score, z);
    now.mean = now.y + (root * root * score) / at.alpha;
    now.y = now.mean + (std::sqrt(2) / at.alpha) * (root * z);
  }
  return now;
}

}  // namespace costate
