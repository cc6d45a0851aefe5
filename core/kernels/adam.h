// One step of Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1), fused: four tensors read, three written.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

/// The numbers of one step; what differs from step to step is worked out on the host.
struct AdamFactors {
  double beta_1 = 0.9, beta_2 = 0.999;  ///< how much of each moment stays
  double rate = 0.01;                   ///< with the first moment's bias taken out: rate / (1 - beta_1^n) in step n
  double unbias = 1;                    ///< of the second moment: 1 / (1 - beta_2^n)
  double tiny = 1e-8;
};

/// What moments of values are kept in: f32 for bf16, where 0.999 of a number is that number and nothing would decay.
constexpr DType moment_dtype(DType values) { return values == DType::bf16 ? DType::f32 : values; }

namespace cpu {
void adam(const AdamFactors& by, const Tensor& x, const Tensor& g, const Tensor& m, const Tensor& v, Tensor& next_x,
          Tensor& next_m, Tensor& next_v);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::adam) adam;
}  // namespace cuda

/// m' = beta_1 m + (1 - beta_1) g, v' = beta_2 v + (1 - beta_2) g^2, x' = x - rate m' / (sqrt(unbias v') + tiny).
inline constexpr Kernel<void(const AdamFactors&, const Tensor& x, const Tensor& g, const Tensor& m, const Tensor& v,
                             Tensor& next_x, Tensor& next_m, Tensor& next_v)>
    adam_kernel{"adam", cpu::adam, cuda::adam};

}  // namespace costate
