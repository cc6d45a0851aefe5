// Closed-form denoisers of Gaussian, Gaussian mixture and finite data.
#include "solvers/exact.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/linear.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/softmax.h"
#include "autodiff/ops/split.h"
#include "autodiff/ops/sum.h"

namespace costate {
namespace {

using Values = std::vector<double>;

struct Component {
  double log_weight = 0;
  Values mean, covariance;  // (d), (d, d)
};

/// Inverse and half the log-determinant of a symmetric positive definite matrix (d, d).
struct Inverse {
  Values matrix;
  double half_log_det = 0;
};

/// By Cholesky: m = L L^T, then m^-1 = L^-T L^-1.
Inverse invert(const Values& m, std::size_t d) {
  Values l(d * d, 0), li(d * d, 0);  // L and L^-1
  Inverse inverse{Values(d * d, 0), 0};
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = m[i * d + j];
      for (std::size_t k = 0; k < j; ++k) rest -= l[i * d + k] * l[j * d + k];
      require(i != j || rest > 0,
              "exact problem: alpha^2 covariance + sigma^2 is not positive definite; a covariance has no eigenvalues "
              "below 0");
      l[i * d + j] = i == j ? std::sqrt(rest) : rest / l[j * d + j];
    }
    inverse.half_log_det += std::log(l[i * d + i]);
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = i == j ? 1 : 0;
      for (std::size_t k = j; k < i; ++k) rest -= l[i * d + k] * li[k * d + j];
      li[i * d + j] = rest / l[i * d + i];
    }
  }
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j < d; ++j) {
      for (std::size_t k = std::max(i, j); k < d; ++k) inverse.matrix[i * d + j] += li[k * d + i] * li[k * d + j];
    }
  }
  return inverse;
}

/// Inverse of alpha^2 C + sigma^2 1: the precision of the noisy component.
Inverse noisy_precision(const Component& c, const Level& at) {
  const std::size_t d = c.mean.size();
  Values m(d * d);
  for (std::size_t i = 0; i < d * d; ++i)
    m[i] = at.alpha * at.alpha * c.covariance[i] + (i % (d + 1) == 0 ? at.sigma * at.sigma : 0);
  return invert(m, d);
}

Tensor row(const Values& v, Kind kind) { return Tensor::from(v, {1, static_cast<std::int64_t>(v.size())}, kind); }

void check_call(const char* family, const Tensor& x, std::int64_t dimension, const Tensors& p, std::size_t count) {
  require(x.rank() == 2 && x.dim(1) == dimension, "{}: wants x (n, {}), got {}", family, dimension, x.shape());
  require(p.size() == count, "{}: wants {} parameters, got {}", family, count, p.size());
}

/// P_k (x - alpha (mean_k + z)), (n, d), and its inner product with x - alpha (mean_k + z), (n, 1).
struct Pull {
  Tensor towards, distance;
};
Pull pull(const Component& c, const Inverse& precision, const Tensor& x, const Tensor& z, double alpha) {
  const auto d = x.dim(1);
  const Tensor off = x - alpha * (row(c.mean, x.kind()) + z);
  const Tensor towards = linear(off, Tensor::from(precision.matrix, {d, d}, x.kind()));
  return {towards, sum_to(off * towards, {x.dim(0), 1})};
}

/// What the components say at x, mixed by r_k, the probability of component k given x:
///   eps = sigma sum_k r_k P_k (x - alpha (mean_k + z)),   x_0 = sum_k r_k (mean_k + z + alpha C_k P_k (x - alpha (mean_k + z))).
Net mixture_net(std::vector<Component> components, const char* family, bool has_theta, bool of_x_0) {
  return [=](const Tensor& x, const Level& at, const Tensors& p) {
    const auto d = static_cast<std::int64_t>(components[0].mean.size());
    check_call(family, x, d, p, has_theta ? 2 : 1);
    const Tensor z = cast(p[0], x.dtype());
    Tensors parts, logits;
    for (const auto& c : components) {
      const Inverse precision = noisy_precision(c, at);
      const Pull k = pull(c, precision, x, z, at.alpha);
      const auto x_0 = [&] {
        const Tensor covariance = Tensor::from(c.covariance, {d, d}, x.kind());
        return (row(c.mean, x.kind()) + z) + at.alpha * linear(k.towards, covariance);
      };
      parts.push_back(of_x_0 ? x_0() : k.towards);
      logits.push_back(-0.5 * k.distance + (c.log_weight - precision.half_log_det));
    }
    if (components.size() == 1) return of_x_0 ? parts[0] : at.sigma * parts[0];
    if (has_theta) logits[0] = logits[0] + reshape(cast(p[1], x.dtype()), {1, 1});
    const Tensors r = split(softmax(concat(logits, 1)), 1, std::vector<std::int64_t>(parts.size(), 1));
    Tensor sum = r[0] * parts[0];
    for (std::size_t k = 1; k < parts.size(); ++k) sum = sum + r[k] * parts[k];
    return of_x_0 ? sum : at.sigma * sum;
  };
}

/// The same where all components have one covariance C: x P x drops out of the logits, and the mixture of means is all
/// that is left, m = sum_k r_k mean_k. With u = x - alpha z,
///   eps = sigma P (u - alpha m),   x_0 = m + z + alpha C P (u - alpha m).
Net one_covariance_net(std::vector<Component> components, const char* family, bool of_x_0) {
  const auto d = static_cast<std::int64_t>(components[0].mean.size()), k = static_cast<std::int64_t>(components.size());
  Values means, first(components.size(), 0);
  for (const auto& c : components) means.insert(means.end(), c.mean.begin(), c.mean.end());
  first[0] = 1;
  return [=](const Tensor& x, const Level& at, const Tensors& p) {
    check_call(family, x, d, p, 2);
    const Kind kind = x.kind();
    const Values precision = noisy_precision(components[0], at).matrix;
    Values slopes(means.size()), bias;  // of the logits: alpha P mean_k, and ln w_k - alpha^2 mean_k P mean_k / 2
    const auto n = static_cast<std::size_t>(d), count = components.size();
    for (std::size_t c = 0; c < count; ++c) {
      double square = 0;
      for (std::size_t i = 0; i < n; ++i) {
        double pulled = 0;
        for (std::size_t j = 0; j < n; ++j) pulled += precision[i * n + j] * means[c * n + j];
        slopes[i * count + c] = at.alpha * pulled;
        square += means[c * n + i] * pulled;
      }
      bias.push_back(components[c].log_weight - at.alpha * at.alpha * square / 2);
    }
    const Tensor z = cast(p[0], kind.dtype), u = lincomb(1, x, -at.alpha, z);
    const Tensor theta = reshape(cast(p[1], kind.dtype), {1, 1}) * row(first, kind);
    const Tensor r = softmax(linear(u, Tensor::from(slopes, {d, k}, kind)) + (row(bias, kind) + theta));
    const Tensor mean = linear(r, Tensor::from(means, {k, d}, kind));
    const Tensor towards = linear(lincomb(1, u, -at.alpha, mean), Tensor::from(precision, {d, d}, kind));
    if (!of_x_0) return at.sigma * towards;
    return mean + z + at.alpha * linear(towards, Tensor::from(components[0].covariance, {d, d}, kind));
  };
}

/// x_0 = sum_k r_k y_k over points y_k; |x|^2 drops out of the logits, which keeps this two matrix products.
Net dirac_mean(std::vector<Component> points) {
  const std::size_t d = points[0].mean.size();
  Values all;
  for (const auto& c : points) all.insert(all.end(), c.mean.begin(), c.mean.end());
  return [=](const Tensor& x, const Level& at, const Tensors& p) {
    check_call("dirac_set", x, static_cast<std::int64_t>(d), p, 0);
    require(at.sigma > 0, "dirac_set: has no eps at sigma = 0; end the grid at the schedule's first level");
    const Tensor y =
        Tensor::from(all, {1, static_cast<std::int64_t>(points.size()), static_cast<std::int64_t>(d)}, x.kind());
    Values bias;
    for (const auto& c : points) {
      double norm2 = 0;
      for (const double v : c.mean) norm2 += v * v;
      bias.push_back(c.log_weight - norm2 / (2 * at.s() * at.s()));
    }
    const Tensor rows = reshape(x, {1, x.dim(0), x.dim(1)});
    const Tensor logits =
        reshape(matmul(rows, y, false, true), {x.dim(0), y.dim(1)}) * (at.alpha / (at.sigma * at.sigma));
    const Tensor r = softmax(logits + row(bias, x.kind()));
    return reshape(matmul(reshape(r, {1, r.dim(0), r.dim(1)}), y), x.shape());
  };
}

/// eps = (x - alpha x_0) / sigma
Net dirac_net(const Net& mean) {
  return [=](const Tensor& x, const Level& at, const Tensors& p) {
    return lincomb(1 / at.sigma, x, -at.alpha / at.sigma, mean(x, at, p));
  };
}

/// A misspelt schedule would be another problem's, without a word.
void check_keys(const Config& c, std::vector<std::string> own) {
  own.insert(own.end(), {"family", "schedule", "prediction", "sampling"});
  check_options(c.where(), c, own);
}

/// `count` vectors of a key (count, d).
std::vector<Values> vectors(const Config& c, const std::string& key) {
  const auto extents = c.extents(key);
  const Values flat = c.numbers(key);
  require(extents.size() == 2 && extents[0] > 0 && extents[1] > 0 &&
              static_cast<std::int64_t>(flat.size()) == extents[0] * extents[1],
          "{}: {} should be a list of vectors of one length", c.where(), key);
  std::vector<Values> rows;
  for (auto from = flat.begin(); from != flat.end(); from += extents[1]) rows.emplace_back(from, from + extents[1]);
  return rows;
}

/// Means and log-weights; covariances are left empty.
std::vector<Component> weighted(const Config& c, const std::string& means) {
  std::vector<Component> all;
  for (auto& mean : vectors(c, means)) all.push_back({0, std::move(mean), {}});
  const Values weights = c.numbers("weights");
  require(weights.empty() || weights.size() == all.size(), "{}: {} weights for {} {}", c.where(), weights.size(),
          all.size(), means);
  for (std::size_t k = 0; k < weights.size(); ++k) {
    require(weights[k] > 0, "{}: weights[{}] = {} should be positive", c.where(), k, weights[k]);
    all[k].log_weight = std::log(weights[k]);
  }
  return all;
}

/// Fills in the covariances from a key (k, d, d); of one component also (d, d).
std::vector<Component> with_covariances(std::vector<Component> all, const Config& c, const std::string& key) {
  const std::size_t d = all[0].mean.size();
  const Values flat = c.numbers(key);
  require(flat.size() == all.size() * d * d, "{}: {} holds {} numbers, wants {} of {} x {}", c.where(), key,
          flat.size(), all.size(), d, d);
  for (std::size_t k = 0; k < all.size(); ++k) {
    const double* m = flat.data() + k * d * d;
    for (std::size_t i = 0; i < d * d; ++i)
      require(m[i] == m[i % d * d + i / d], "{}: matrix {} of {} is not symmetric", c.where(), k, key);
    all[k].covariance.assign(m, m + d * d);
  }
  return all;
}

}  // namespace

std::vector<std::string> exact_families() { return {"gaussian", "gaussian_mixture", "dirac_set"}; }

ExactProblem exact_problem(const Config& config, Device device) {
  const std::string family = config.text("family", "");
  ExactProblem problem;
  std::vector<Component> components;
  if (family == "gaussian") {
    check_keys(config, {"mean", "covariance"});
    components = {{0, config.numbers("mean"), {}}};
    require(!components[0].mean.empty(), "{}: gaussian wants a mean", config.where());
    components = with_covariances(components, config, "covariance");
    problem.net = mixture_net(components, "gaussian", false, false);
    problem.mean = mixture_net(components, "gaussian", false, true);
    problem.p_names = {"z"};
  } else if (family == "gaussian_mixture") {
    check_keys(config, {"weights", "means", "covariances"});
    components = with_covariances(weighted(config, "means"), config, "covariances");
    const bool one_covariance = std::all_of(components.begin(), components.end(), [&](const Component& c) {
      return c.covariance == components[0].covariance;
    });
    const auto net = [&](bool of_x_0) {
      return one_covariance ? one_covariance_net(components, "gaussian_mixture", of_x_0)
                            : mixture_net(components, "gaussian_mixture", true, of_x_0);
    };
    problem.net = net(false);
    problem.mean = net(true);
    problem.p_names = {"z", "theta"};
  } else if (family == "dirac_set") {
    check_keys(config, {"weights", "points"});
    components = weighted(config, "points");
    problem.mean = dirac_mean(components);
    problem.net = dirac_net(problem.mean);
  } else {
    fail_unknown("exact problem", family, exact_families());
  }
  problem.dimension = static_cast<std::int64_t>(components[0].mean.size());
  if (!problem.p_names.empty()) problem.p.push_back(Tensor::zeros({1, problem.dimension}, {DType::f64, device}));
  if (problem.p_names.size() == 2) problem.p.push_back(Tensor::zeros({1}, {DType::f64, device}));
  return problem;
}

Net ExactProblem::predicting(Prediction what, double sigma_data) const {
  const Denoiser other{.net = {}, .prediction = what, .sigma_data = sigma_data};
  return [eps_of = net, x_0_of = mean, other](const Tensor& input, const Level& at, const Tensors& p) {
    const Tensor x = scale(input, at.scale() / other.input_scale(at));
    const auto [x_0, eps] = other.output(at);
    if (x_0 == 0) return scale(eps_of(x, at, p), eps);
    if (eps == 0) return scale(x_0_of(x, at, p), x_0);
    return lincomb(x_0, x_0_of(x, at, p), eps, eps_of(x, at, p));
  };
}

}  // namespace costate
