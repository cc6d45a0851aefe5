// Which type a product runs in: f64, f32, or bf16 on tensor cores, through f32 on chips that have none.
#pragma once

#include "core/kernels/copy.h"
#include "core/kernels/matmul.h"
#include "gpu/launch.h"
#include "gpu/tiles.h"

namespace costate::cuda {

/// The first number of the device's compute capability.
inline int generation() {
  int major = 0;
  check("device cuda", cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device()));
  return major;
}

/// Whether this device multiplies bf16 and TF32.
inline bool has_tensor_cores() { return generation() >= 8; }

/// Whether it has the instructions of gpu/ptx_sm90.h, and its code was built for them: 9.0 alone does. (Built for any other chip, the
/// kernels that have them are empty.)
inline bool has_warp_groups() { return generation() == 9 && has_warp_group_code(); }

/// Whether products of this type are TF32's.
inline bool wants_tf32(const char* op, DType dtype) {
  if (dtype != DType::f32 || products_in_f32() != Products::tf32) return false;
  require(has_tensor_cores(), "{}: this device has no TF32 products; use --matmul f32", op);
  return true;
}

/// What is added to a product of factors like `factor`, in their type; undefined stays so.
inline Tensor in_type_of(const Tensor& factor, const Tensor& added) {
  return added.defined() ? to_stored(added, factor.dtype()) : added;
}

/// f(M{}, a, b, y) for two factors and their product; Stored<M> is their type.
template <class F>
void with_products(const char* op, const Tensor& a, const Tensor& b, Tensor& y, const F& f) {
  if (wants_tf32(op, a.dtype())) return f(Tf32{}, a, b, y);
  if (a.dtype() != DType::bf16) return visit_compute(a.dtype(), op, [&](auto tag) { f(tag, a, b, y); });
  if (has_tensor_cores()) return f(bf16{}, a, b, y);
  Tensor wide = Tensor::empty(y.shape(), y.kind().with(DType::f32));
  f(float{}, to_stored(a, DType::f32), to_stored(b, DType::f32), wide);
  y = to_stored(wide, DType::bf16);
}

}  // namespace costate::cuda
