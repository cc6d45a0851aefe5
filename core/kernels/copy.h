// Moves a box of elements between two strided views: permute, slice, pad, concatenate and broadcast are all this.
#pragma once

#include <array>

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

/// Loop extents with the step each axis takes in source and destination, in elements; source steps may be 0 (repeat).
struct CopyBox {
  int rank = 0;
  std::array<std::int64_t, Shape::max_rank> extent{}, from_step{}, to_step{};
  std::int64_t from = 0, to = 0;  ///< first elements
};

/// Drops axes of extent 1 and joins neighbours that are contiguous on both sides.
CopyBox merged(const CopyBox& box);

/// Row-major steps of a shape, in elements.
std::array<std::int64_t, Shape::max_rank> row_major_steps(const Shape& shape);

namespace cpu {
void copy(const CopyBox& box, const Tensor& from, Tensor& to);
void cast(const Tensor& from, Tensor& to);
/// Numbers in memory, in the calling thread.
void round(const float* from, bf16* to, std::int64_t count);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::copy) copy;
[[gnu::weak]] decltype(cpu::cast) cast;
}  // namespace cuda

/// Elements of `to` outside the box are left alone. Any dtype, the same on both sides.
inline constexpr Kernel<void(const CopyBox&, const Tensor&, Tensor&)> copy_kernel{"copy", cpu::copy, cuda::copy};
/// Converts every element, rounding to nearest.
inline constexpr Kernel<void(const Tensor&, Tensor&)> cast_kernel{"cast", cpu::cast, cuda::cast};

/// All elements, into a tensor of the same shape and kind that nobody shares.
void copy_into(const Tensor& from, Tensor& to);
/// The same elements in memory of their own.
Tensor copy_of(const Tensor& t);
/// What kernels that compute in f32 take of a bf16 tensor on the CPU: a copy. A device's take it as it is.
Tensor to_compute(const Tensor& t);
/// As to_compute for weights: the copy stays with the weight's storage.
Tensor to_compute_weight(const Tensor& w);
/// The result of a computation in the dtype its operands are stored in; undefined stays so.
Tensor to_stored(const Tensor& t, DType dtype);
/// Uninitialised f32 of its shape and device; undefined stays so.
Tensor f32_like(const Tensor& t);
/// f(T{}) for the floating types, for kernels that read and write bf16 themselves; `op` is named in the error for others.
template <class F>
void visit_floating(DType t, std::string_view op, const F& f) {
  if (t == DType::bf16) return f(bf16{});
  visit_compute(t, op, f);
}
/// y, of bf16, becomes what compute(wide) writes into an f32 tensor of its shape, rounded once.
template <class Compute>
void through_f32(Tensor& y, const Compute& compute) {
  Tensor wide = f32_like(y);
  compute(wide);
  y = to_stored(wide, y.dtype());
}

}  // namespace costate
