// The small trained network of the reference gradients, written with ops, and the comparison with references.
#pragma once

#include "autodiff/ops/concat.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/silu.h"
#include "tests/solvers/problems.h"

namespace costate {

inline constexpr const char* weight_names[] = {"l1.weight", "l1.bias", "l2.weight", "l2.bias", "l3.weight", "l3.bias"};

inline Tensor layer(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor product =
      matmul(reshape(x, {1, x.dim(0), x.dim(1)}), reshape(weight, {1, weight.dim(0), weight.dim(1)}), false, true);
  return reshape(product, {x.dim(0), weight.dim(0)}) + reshape(bias, {1, bias.dim(0)});
}

/// eps = W3 silu(W2 silu(W1 u + b1) + b2) + b3, u = [c x, sin(2^k tau), cos(2^k tau), z], k = 0 ... 3; p = {z, W1, b1
/// ...}
inline Tensor tiny_net(const Tensor& x, const Level& at, const Tensors& p) {
  const double tau = std::log(at.sigma / at.alpha) / 4;
  std::vector<double> waves;
  for (int k = 0; k < 4; ++k) waves.push_back(std::sin(std::ldexp(tau, k)));
  for (int k = 0; k < 4; ++k) waves.push_back(std::cos(std::ldexp(tau, k)));
  const Tensor time = broadcast_to(row_of(waves), {x.dim(0), 8});
  const Tensor u = concat({x / std::hypot(at.alpha, at.sigma), time, p[0]}, 1);
  return layer(silu(layer(silu(layer(u, p[1], p[2])), p[3], p[4])), p[5], p[6]);
}

/// Relative to the largest entry.
inline void check_close(const Tensor& found, const Tensor& expected, const std::string& what, double bound = 1e-12) {
  double worst = 0, largest = 0;
  const auto a = found.to_vector(), b = expected.to_vector();
  BOOST_REQUIRE_EQUAL(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  BOOST_TEST_MESSAGE(what << ": off by " << worst / largest);
  BOOST_TEST(worst <= bound * largest, what << ": off by " << worst / largest);
}

}  // namespace costate
