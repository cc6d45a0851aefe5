// SiLU and its vector-Jacobian product, fused.
#include "core/kernels/silu.h"

#include <cmath>

#include "gpu/elementwise.h"

void costate::cuda::silu(const Tensor& x, Tensor& y) {
  map(
      "silu", [] __device__(auto v) { return v / (1 + std::exp(-v)); }, y, x);
}

void costate::cuda::silu_vjp(const Tensor& x, const Tensor& g, Tensor& dx) {
  const auto slope = [] __device__(auto v, auto cotangent) {
    const auto s = 1 / (1 + std::exp(-v));
    return cotangent * (s * (1 + v * (1 - s)));
  };
  map("silu_vjp", slope, dx, x, g);
}
