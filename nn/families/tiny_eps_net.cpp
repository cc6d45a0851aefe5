// Family tiny_eps_net: a three-layer MLP of points that is told alpha and sigma, not a time; the network of the
// gradient fixtures.
//
//   u = [c x, sin(tau 2^k), cos(tau 2^k), z]  with  c = 1 / sqrt(alpha^2 + sigma^2), tau = ln(sigma / alpha) / 4, k =
//   0..3 eps = W3 silu(W2 silu(W1 u + b1) + b2) + b3
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/silu.h"
#include "nn/family.h"
#include "nn/linear.h"
#include "nn/sizes.h"

namespace costate {
namespace {

constexpr std::int64_t frequencies = 4;

struct TinyEpsNet {
  Linear l1, l2, l3;

  static void fields(auto& self, auto&& visit) {
    visit("l1", self.l1);
    visit("l2", self.l2);
    visit("l3", self.l3);
  }

  [[nodiscard]] std::int64_t data_width() const { return l3.weight.dim(1); }
  [[nodiscard]] std::int64_t condition_width() const { return l1.weight.dim(0) - data_width() - 2 * frequencies; }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t n = in.x.rank() == 2 ? in.x.dim(0) : 0;
    require(in.x.shape() == Shape{n, data_width()}, "tiny_eps_net: wants x (n, {}), got {}", data_width(),
            in.x.shape());
    require(in.z.defined() && in.z.shape() == Shape{n, condition_width()}, "tiny_eps_net: wants z ({}, {}), got {}", n,
            condition_width(), in.z.defined() ? to_string(in.z.shape()) : "none");
    const auto alpha = per_row("alpha", in.alpha, n), sigma = per_row("sigma", in.sigma, n);
    std::vector<double> scales, waves;
    for (std::size_t i = 0; i < alpha.size(); ++i) {
      require(alpha[i] > 0 && sigma[i] > 0, "tiny_eps_net: wants alpha and sigma above 0, got {} and {}", alpha[i],
              sigma[i]);
      scales.push_back(1 / std::sqrt(alpha[i] * alpha[i] + sigma[i] * sigma[i]));
      const double tau = std::log(sigma[i] / alpha[i]) / 4;
      for (int k = 0; k < frequencies; ++k) waves.push_back(std::sin(std::ldexp(tau, k)));
      for (int k = 0; k < frequencies; ++k) waves.push_back(std::cos(std::ldexp(tau, k)));
    }
    const Kind kind = in.x.kind();
    const Tensor u =
        concat({in.x * Tensor::from(scales, {n, 1}, kind), Tensor::from(waves, {n, 2 * frequencies}, kind), in.z}, 1);
    return l3(silu(l2(silu(l1(u)))));
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {data_width()};
    s.out_channels = data_width();
    s.takes_time = false;
    s.z = {condition_width()};
    s.summary = fmt::format("MLP of points, width {}", l2.weight.dim(1));
    s.defaults = R"({"prediction": "epsilon", "schedule": {"type": "vp_linear"}, "sampling": {"final": "first"}})";
    return s;
  }
};

bool recognised(const KeyShapes& keys) {
  return keys.size() == 6 && keys.count("l1.weight") != 0 && keys.count("l2.weight") != 0 &&
         keys.count("l3.weight") != 0;
}

Linear layer(const KeyShapes& keys, const std::string& key) {
  const Shape& w = keys.at(key);
  require(w.rank() == 2, "tiny_eps_net: {} should be (out, in), is {}", key, w);
  return {w[1], w[0]};
}

}  // namespace

Family tiny_eps_net_family() {
  return {"tiny_eps_net", "three-layer MLP of points, told alpha and sigma, with a condition z: l1, l2, l3",
          [](const Config&, const KeyShapes& keys) -> std::string { return recognised(keys) ? "keys l1, l2, l3" : ""; },
          network_by([](const Config& config, const KeyShapes& keys) {
            refuse_unknown(config, "");
            require(recognised(keys), "tiny_eps_net: wants l1, l2, l3 with weight and bias; {} keys were given",
                    keys.size());
            TinyEpsNet net{layer(keys, "l1.weight"), layer(keys, "l2.weight"), layer(keys, "l3.weight")};
            require(net.condition_width() >= 0, "tiny_eps_net: l1.weight {} is too narrow for points of {} coordinates",
                    keys.at("l1.weight"), net.data_width());
            return net;
          })};
}

}  // namespace costate
