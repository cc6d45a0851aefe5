// Numbers that coarse types hold, for tests against f64.
#pragma once

#include "core/random.h"
#include "tests/support/inputs.h"

namespace costate {

/// Undefined stays so.
inline Tensor in(DType dtype, const Tensor& t) {
  return t.defined() ? Tensor::from(t.to_vector(), t.shape(), dtype) : t;
}
inline Tensor in_f64(const Tensor& t) { return in(DType::f64, t); }

/// Noise that bf16 holds, and so does TF32.
inline Tensor rounded(const Shape& shape, std::uint64_t seed, DType dtype = DType::bf16) {
  return in(dtype, in(DType::bf16, normal_noise(seed, 0, 1, 0, shape).reshaped(shape)));
}

}  // namespace costate
