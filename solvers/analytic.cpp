// Covariances from the network's output, and the noise they call for.
#include "solvers/analytic.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/sqrt.h"
#include "core/random.h"

namespace costate {
namespace {

/// Cov[x_0 | x] where it is one number for all elements.
bool is_one_number(const Covariance& c, const Step& step) {
  return c.from == Covariance::From::ms_eps || step.from().alpha == 0;
}

/// E|eps|^2 / d at the level that the step leaves.
double listed(const Covariance& c, const Step& step) {
  const auto& list = c.ms_eps;
  if (list.size() + 1 == step.grid.size()) return list[static_cast<std::size_t>(step.index)];
  const int times = step.schedule == nullptr ? 0 : step.schedule->steps();
  const double t = step.from().t;
  require(times > 0 && static_cast<int>(list.size()) == times && t == std::floor(t),
          "analytic: {} values of ms_eps for {} steps; give one a step, or one for every time of a discrete schedule",
          list.size(), step.grid.size() - 1);
  return list[static_cast<std::size_t>(t)];
}

double number(const Covariance& c, const Step& step) {
  if (step.from().alpha > 0) return std::pow(step.from().s(), 2) * (1 - listed(c, step));
  require(
      c.data_variance > 0,
      "analytic: the step from pure noise, t = {}, needs the variance of the data: give data_variance, or begin at a "
      "level with alpha > 0, such as t_max = 0.999 of flow matching",
      step.from().t);
  return c.data_variance;
}

Tensor in_range(const Tensor& c, double clip) { return relu(c) - relu(c - clip); }

/// Element by element.
Tensor conditional(const Covariance& c, const Step& step, const Found& found) {
  const double s2 = std::pow(step.from().s(), 2);
  if (c.from == Covariance::From::eps) return in_range(s2 * (-square(found.eps) + 1), c.clip);
  require(found.variance.defined(),
          "analytic: covariance = sn and npr want a network with twice the channels of its samples");
  const Tensor v = c.from == Covariance::From::npr ? found.variance : found.variance - square(found.eps);
  return in_range(s2 * v, c.clip);
}

/// Is this step's noise the last that is drawn?
bool draws_last(const Step& step) {
  const auto next = static_cast<std::size_t>(step.index) + 1;
  return next + 1 == step.grid.size() || step.grid[next + 1].sigma == 0;
}

}  // namespace

std::vector<std::string> covariance_options(const std::vector<std::string>& more) {
  std::vector<std::string> all = {"covariance", "ms_eps", "clip", "data_variance", "last_pixels"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Covariance covariance_from(const Config& options) {
  using From = Covariance::From;
  const bool has_list = options.has("ms_eps");
  const std::string from = options.choice("covariance", has_list ? "ms_eps" : "eps", {"ms_eps", "eps", "sn", "npr"});
  const Covariance c{.from = from == "ms_eps" ? From::ms_eps
                             : from == "eps"  ? From::eps
                             : from == "sn"   ? From::sn
                                              : From::npr,
                     .ms_eps = options.numbers("ms_eps"),
                     .clip = options.number("clip", 1),
                     .data_variance = options.number("data_variance", 0),
                     .pixels = options.number("last_pixels", 0)};
  require((c.from == From::ms_eps) == has_list, "{}: covariance = {} and ms_eps go together: {}", options.where(), from,
          has_list ? "leave ms_eps out" : "give the list ms_eps");
  require(c.clip > 0 && c.data_variance >= 0 && c.pixels >= 0,
          "{}: wants clip > 0, data_variance >= 0 and last_pixels >= 0, got {}, {} and {}", options.where(), c.clip,
          c.data_variance, c.pixels);
  return c;
}

Tensor add_optimal_noise(const Covariance& c, const Step& step, const Tensor& mean, const Found& found, double variance,
                         double weight) {
  if (step.to().s() == 0) return mean;
  // E|n| of n ~ N(0, 1) is sqrt(2 / pi); in y, of data whose range of 2 has 255 values.
  const double most = c.pixels > 0 && draws_last(step)
                          ? std::pow(c.pixels * 2 / 255 * std::sqrt(M_PI / 2) / step.to().alpha, 2)
                          : INFINITY;
  if (is_one_number(c, step)) {
    const double cov = std::clamp(number(c, step), 0.0, c.clip);
    return lincomb(1, mean, std::sqrt(std::min(most, variance + weight * weight * cov)), step.normal(mean));
  }
  constexpr double tiny = 1e-30;  // where both are 0 the root still has a slope
  Tensor all = weight * weight * conditional(c, step, found) + (variance + tiny);
  if (std::isfinite(most)) all = in_range(all, most);
  return mean + sqrt(all) * step.normal(mean);
}

std::vector<double> mean_square_eps(const Denoiser& denoiser, const Grid& grid, const Tensor& x_0, const Tensors& p,
                                    std::uint64_t seed) {
  std::vector<double> all;
  const Noise noise = fresh_noise(seed, 0);
  for (std::size_t k = 0; k + 1 < grid.size(); ++k) {
    const Level& at = grid[k];
    const Tensor z = noise({.step = static_cast<int>(k)}, x_0);
    const Tensor y = at.alpha > 0 ? lincomb(1, x_0, at.s(), z) : z;
    double sum = 0;
    for (const double e : denoiser.eps(y, at, p).to_vector()) sum += e * e;
    all.push_back(sum / static_cast<double>(x_0.size()));
  }
  return all;
}

}  // namespace costate
