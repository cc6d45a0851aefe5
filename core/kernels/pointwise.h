// What the one-operand elementwise kernels share: y[i] = f(x[i]), bf16 computed in f32.
#pragma once

#include <cstdint>

#include "core/kernel.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace costate {

/// The type an element is computed in. (constexpr: nvcc compiles such functions for the device as well.)
constexpr float widen(bf16 v) { return static_cast<float>(v); }
template <class T>
constexpr T widen(T v) {
  return v;
}
template <class T, class C>
constexpr T narrow(C v) {
  if constexpr (std::is_same_v<T, bf16>)
    return bf16(static_cast<float>(v));
  else
    return static_cast<T>(v);
}

using PointwiseKernel = Kernel<void(const Tensor& x, Tensor& y)>;

namespace cpu {

/// y[i] = f(x[i]) for the three floating types.
template <class F>
void map(const char* op, const Tensor& x, Tensor& y, const F& f) {
  require(is_floating(x.dtype()), "{}: wants a floating dtype, got {}", op, name_of(x.dtype()));
  visit_dtype(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if constexpr (!std::is_same_v<T, std::int32_t>) {
      const T* in = x.data<T>();
      T* out = y.mutable_data<T>();
      parallel_ranges(x.size(), 4096, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) out[i] = narrow<T>(f(widen(in[i])));
      });
    }
  });
}

}  // namespace cpu
}  // namespace costate
