// Fused attention in f64.
#include "gpu/attention/fma_kernels.h"

namespace costate::cuda {
namespace {

template <int d, int tm, int tn, int blocks>
using Shape = fma::Shape<double, d, tm, tn, 4, blocks>;

}  // namespace

template <>
const FusedKernels<double>* fused_kernels(const Lengths& z) {
  if (!fma::pays(z) || z.width > 128) return nullptr;
  if (z.width <= 32) return &fma::kernels<Shape<32, 4, 4, 2>, Shape<32, 4, 4, 2>, Shape<32, 4, 4, 2>>;
  if (z.width <= 64) return &fma::kernels<Shape<64, 4, 4, 2>, Shape<64, 4, 4, 2>, Shape<64, 2, 8, 2>>;
  return &fma::kernels<Shape<128, 2, 4, 2>, Shape<128, 2, 4, 2>, Shape<128, 2, 4, 1>>;
}

}  // namespace costate::cuda
