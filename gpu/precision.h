// Which type a product runs in: f64, f32, or bf16 on tensor cores, through f32 on chips that have none.
#pragma once

#include "core/kernels/copy.h"
#include "gpu/launch.h"

namespace costate::cuda {

/// Whether this device multiplies bf16.
inline bool has_tensor_cores() {
  int major = 0;
  check("device cuda", cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device()));
  return major >= 8;
}

/// f(T{}) for the floating types; `op` is named in the error for others.
template <class F>
void visit_floating(DType dtype, const char* op, const F& f) {
  if (dtype == DType::bf16) return f(bf16{});
  visit_compute(dtype, op, f);
}

/// f(T{}, a, b, y) for two factors and their product.
template <class F>
void with_products(const char* op, const Tensor& a, const Tensor& b, Tensor& y, const F& f) {
  if (a.dtype() != DType::bf16) return visit_compute(a.dtype(), op, [&](auto tag) { f(tag, a, b, y); });
  if (has_tensor_cores()) return f(bf16{}, a, b, y);
  Tensor wide = Tensor::empty(y.shape(), y.kind().with(DType::f32));
  f(float{}, to_stored(a, DType::f32), to_stored(b, DType::f32), wide);
  y = to_stored(wide, DType::bf16);
}

}  // namespace costate::cuda
