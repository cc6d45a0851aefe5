// Fused attention in f32.
#include "gpu/attention/fma_kernels.h"

namespace costate::cuda {
namespace {

template <int d, int tm, int tn, int warps, int blocks>
using Shape = fma::Shape<float, d, tm, tn, warps, blocks>;

}  // namespace

template <>
const FusedKernels<float>* fused_kernels(const Lengths& z) {
  if (!fma::pays(z) || z.width > 128) return nullptr;
  if (z.width <= 32) return &fma::kernels<Shape<32, 8, 8, 4, 2>, Shape<32, 4, 8, 4, 3>, Shape<32, 8, 4, 4, 2>>;
  if (z.width <= 40) return &fma::kernels<Shape<40, 8, 8, 4, 2>, Shape<40, 4, 8, 4, 3>, Shape<40, 8, 4, 4, 2>>;
  if (z.width <= 64) return &fma::kernels<Shape<64, 8, 8, 4, 2>, Shape<64, 4, 8, 4, 3>, Shape<64, 4, 8, 4, 2>>;
  if (z.width <= 80) return &fma::kernels<Shape<80, 4, 8, 4, 3>, Shape<80, 4, 8, 4, 3>, Shape<80, 4, 8, 4, 2>>;
  return &fma::kernels<Shape<128, 4, 8, 4, 2>, Shape<128, 4, 8, 4, 2>, Shape<128, 4, 6, 8, 1>>;
}

}  // namespace costate::cuda
