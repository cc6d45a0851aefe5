// Elementwise kernels: y[i] = f(a[i], b[i] ...), 16 bytes a load where addresses and count allow it.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "core/kernels/pointwise.h"
#include "gpu/launch.h"
#include "gpu/ptx.h"

namespace costate::cuda {

/// N neighbours, moved as one word: by value, or nvcc loads each alone where it is first used.
template <class T, int n>
struct alignas(n * sizeof(T)) Pack {
  T v[n];
  __device__ auto operator[](int k) const { return widen(v[k]); }
  template <class C>
  static __device__ Pack of(const C* from) {
    Pack out;
#pragma unroll
    for (int k = 0; k < n; ++k) out.v[k] = narrow<T>(from[k]);
    return out;
  }
};
/// Two bf16 are one number of 32 bits, which chips widen and round to as such.
template <int n>
requires(n % 2 == 0) struct alignas(n * sizeof(bf16)) Pack<bf16, n> {
  std::uint32_t pair[n / 2];
  __device__ float operator[](int k) const {
    return std::bit_cast<float>(k % 2 == 0 ? pair[k / 2] << 16 : pair[k / 2] & 0xffff0000U);
  }
  static __device__ Pack of(const float* from) {
    Pack out;
#pragma unroll
    for (int k = 0; k < n / 2; ++k) out.pair[k] = bf16_pair(from[2 * k], from[2 * k + 1]);
    return out;
  }
};

inline bool aligned_16(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

template <class F, class T, int n, class... In>
__global__ void __launch_bounds__(256) map_packs(F f, std::int64_t packs, T* y, const In*... in) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < packs; i += stride) {
    const auto apply = [&](const auto... a) {
      decltype(widen(f(widen(In{})...))) out[n];
#pragma unroll
      for (int k = 0; k < n; ++k) out[k] = widen(f(a[k]...));
      return Pack<T, n>::of(out);
    };
    reinterpret_cast<Pack<T, n>*>(y)[i] = apply(reinterpret_cast<const Pack<In, n>*>(in)[i]...);
  }
}

/// Blocks of 256 threads for `count` items; enough to fill any chip, the rest by striding.
inline dim3 blocks_for(std::int64_t count, std::int64_t threads = 256) {
  constexpr std::int64_t most = 1 << 16;
  const std::int64_t blocks = (count + threads - 1) / threads;
  return dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks < most ? blocks : most));
}

template <class F, class T, class... In>
void map_elements(const char* op, const F& f, std::int64_t count, T* y, const In*... in) {
  if (count == 0) return;
  constexpr int n = 16 / sizeof(T);
  if (count % n == 0 && aligned_16(y) && (aligned_16(in) && ...))
    launch(op, blocks_for(count / n), dim3(256), map_packs<F, T, n, In...>, f, count / n, y, in...);
  else
    launch(op, blocks_for(count), dim3(256), map_packs<F, T, 1, In...>, f, count, y, in...);
}

/// y[i] = f(x[i] ...) for the three floating types, computed in f64 or f32.
template <class F, class... X>
void map(const char* op, const F& f, Tensor& y, const X&... x) {
  require(is_floating(y.dtype()), "{}: wants a floating dtype, got {}", op, name_of(y.dtype()));
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if constexpr (!std::is_same_v<T, std::int32_t>)
      map_elements(op, f, y.size(), y.template mutable_device_data<T>(), x.template device_data<T>()...);
  });
}

}  // namespace costate::cuda
