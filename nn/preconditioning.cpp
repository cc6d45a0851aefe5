// Coefficients of the preconditionings.
#include "nn/preconditioning.h"

#include <algorithm>

#include "autodiff/ops/mul.h"
#include "nn/sizes.h"

namespace costate {
namespace {

using Kind = Preconditioning::Kind;

Kind kind_from(const Config& config) {
  const bool by_class = config.has("class_name");
  const std::string key = by_class ? "class_name" : "precond";
  std::string name = config.text(key, "edm");
  if (const auto dot = name.rfind('.'); dot != std::string::npos) name = name.substr(dot + 1);
  for (const auto& [known, kind] : {std::pair{"edm", Kind::edm},
                                    {"EDMPrecond", Kind::edm},
                                    {"vp", Kind::vp},
                                    {"VPPrecond", Kind::vp},
                                    {"ve", Kind::ve},
                                    {"VEPrecond", Kind::ve},
                                    {"iddpm", Kind::iddpm},
                                    {"iDDPMPrecond", Kind::iddpm}})
    if (name == known) return kind;
  config.unsupported(key, "supported: edm, vp, ve, iddpm, and the classes' own names");
}

}  // namespace

Preconditioning::Preconditioning(const Config& c)
    : kind(kind_from(c)),
      sigma_data(c.number("sigma_data", 0.5)),
      beta_d(c.number("beta_d", 19.9)),
      beta_min(c.number("beta_min", 0.1)),
      steps(size_from(c, "M", 1000, 2)) {
  const auto vp_sigma = [&](double t) { return std::sqrt(std::expm1(0.5 * beta_d * t * t + beta_min * t)); };
  if (kind == Kind::vp) sigma_min = vp_sigma(c.number("epsilon_t", 1e-5)), sigma_max = vp_sigma(1);
  if (kind == Kind::ve) sigma_min = c.number("sigma_min", 0.02), sigma_max = c.number("sigma_max", 100);
  if (kind == Kind::edm) {  // 0 and infinity are its own limits; samplers take these
    sigma_min = std::max(sigma_min, c.number("sigma_min", 0));
    sigma_max = std::min(sigma_max, c.number("sigma_max", sigma_max));
  }
}

std::pair<double, double> Preconditioning::range(const std::vector<double>& levels) const {
  if (kind != Kind::iddpm || levels.size() < 2) return {sigma_min, sigma_max};
  return {std::max(sigma_min, *(levels.end() - 2)), std::min(sigma_max, levels.front())};
}

Preconditioning::Coefficients Preconditioning::operator()(double sigma, const std::vector<double>& levels) const {
  require(sigma > 0 || (sigma == 0 && kind != Kind::edm && kind != Kind::ve),
          "preconditioning: the time of this network is sigma, which is {}; wants it above 0", sigma);
  const double norm = std::sqrt(1 + sigma * sigma);
  switch (kind) {
    case Kind::edm: {
      const double data = std::hypot(sigma, sigma_data);
      return {sigma_data * sigma_data / (data * data), sigma * sigma_data / data, 1 / data, std::log(sigma) / 4};
    }
    case Kind::vp: {
      const double log = std::log(sigma * sigma + 1);  // as the original rounds: the network is told 999 t
      const double t = (std::sqrt(beta_min * beta_min + 2 * beta_d * log) - beta_min) / beta_d;
      return {1, -sigma, 1 / norm, static_cast<double>(steps - 1) * t};
    }
    case Kind::ve:
      return {1, sigma, 1, std::log(sigma / 2)};
    case Kind::iddpm: {
      const auto nearest = std::min_element(
          levels.begin(), levels.end(), [&](double a, double b) { return std::abs(a - sigma) < std::abs(b - sigma); });
      return {1, -sigma, 1 / norm, static_cast<double>(steps - 1 - (nearest - levels.begin()))};
    }
  }
  fail("preconditioning: unknown kind {}", static_cast<int>(kind));
}

Tensor unit_scale(const Tensor& x, const std::vector<double>& sigma) {
  std::vector<double> factors;
  for (const double s : sigma) factors.push_back(1 / std::hypot(1, s));
  std::vector<std::int64_t> column(static_cast<std::size_t>(x.rank()), 1);
  column[0] = x.dim(0);
  return mul(x, Tensor::from(factors, Shape(column), x.kind()));
}

}  // namespace costate
