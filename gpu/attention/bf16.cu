// Fused attention in bf16.
#include "gpu/attention/mma.h"

namespace costate::cuda {

template <>
const FusedKernels<bf16>* fused_kernels(const Lengths& z) {
  if (z.width > 80) return nullptr;
  if (z.width <= 32) return &mma::kernels<32>;
  if (z.width <= 48) return &mma::kernels<48>;
  if (z.width <= 64) return &mma::kernels<64>;
  return &mma::kernels<80>;
}

}  // namespace costate::cuda
