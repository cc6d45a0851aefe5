// SiLU and its vector-Jacobian product, fused.
#include "core/kernels/silu.h"

#include "gpu/elementwise.h"
#include "gpu/sigmoid.h"

void costate::cuda::silu(const Tensor& x, Tensor& y) {
  map(
      "silu", [] __device__(auto v) { return v * sigmoid(v); }, y, x);
}

void costate::cuda::silu_vjp(const Tensor& x, const Tensor& g, Tensor& dx) {
  map(
      "silu_vjp", [] __device__(auto v, auto cotangent) { return cotangent * silu_slope(v); }, dx, x, g);
}
