// Fused attention in bf16.
#include "gpu/attention/mma_kernels.h"

namespace costate::cuda {
namespace {

using mma::Shape;

/// Forward in two shapes, by mt alone: it changes no bit.
template <int d, int n, int blocks, bool held, class Vjp>
constexpr auto& kernels = mma::kernels<Shape<d, 2, n, blocks, held>, Shape<d, 1, n, 3, held>, Vjp>;

}  // namespace

template <>
const FusedKernels<bf16>* fused_kernels(const Lengths& z) {
  if (z.width > 160 || z.scale <= 0) return nullptr;
  if (z.width <= 32) return &kernels<32, 64, 3, true, Shape<32, 2, 32, 2, true>>;
  if (z.width <= 40) return &kernels<40, 64, 3, true, Shape<40, 2, 32, 2, true>>;
  if (z.width <= 64) return &kernels<64, 64, 2, true, Shape<64, 1, 64, 2, true>>;
  if (z.width <= 80) return &kernels<80, 64, 2, true, Shape<80, 1, 64, 2, true>>;
  if (z.width <= 128) return &kernels<128, 64, 2, false, Shape<128, 1, 48, 2, false>>;
  return &kernels<160, 32, 2, false, Shape<160, 1, 32, 2, false>>;
}

}  // namespace costate::cuda
