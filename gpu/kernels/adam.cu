// One step of Adam: a thread has the same few elements of seven tensors.
#include "core/kernels/adam.h"

#include "core/kernels/copy.h"
#include "gpu/elementwise.h"

namespace costate::cuda {
namespace {

/// Elements are stored as T and computed in C.
template <class T, class C, int n>
__global__ void __launch_bounds__(256) adam_packs(AdamFactors by, std::int64_t packs, const T* x, const T* g,
                                                  const C* m, const C* v, T* next_x, C* next_m, C* next_v) {
  kernel_begins();
  const auto beta_1 = static_cast<C>(by.beta_1), rest_1 = static_cast<C>(1 - by.beta_1);
  const auto beta_2 = static_cast<C>(by.beta_2), rest_2 = static_cast<C>(1 - by.beta_2);
  const auto rate = static_cast<C>(by.rate), unbias = static_cast<C>(by.unbias), tiny = static_cast<C>(by.tiny);
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < packs; i += stride) {
    const Pack<T, n> value = reinterpret_cast<const Pack<T, n>*>(x)[i],
                     slope = reinterpret_cast<const Pack<T, n>*>(g)[i];
    const Pack<C, n> first = reinterpret_cast<const Pack<C, n>*>(m)[i],
                     second = reinterpret_cast<const Pack<C, n>*>(v)[i];
    C moved[n], mean[n], square[n];
#pragma unroll
    for (int k = 0; k < n; ++k) {
      mean[k] = beta_1 * first[k] + rest_1 * slope[k];
      square[k] = beta_2 * second[k] + rest_2 * (slope[k] * slope[k]);
      moved[k] = value[k] - rate * (mean[k] / (std::sqrt(unbias * square[k]) + tiny));
    }
    store_word(next_x + i * n, Pack<T, n>::of(moved));
    store_word(next_m + i * n, Pack<C, n>::of(mean));
    store_word(next_v + i * n, Pack<C, n>::of(square));
  }
}

}  // namespace

void adam(const AdamFactors& by, const Tensor& x, const Tensor& g, const Tensor& m, const Tensor& v, Tensor& next_x,
          Tensor& next_m, Tensor& next_v) {
  if (x.size() == 0) return;
  visit_floating(x.dtype(), "adam", [&](auto tag) {
    using T = decltype(tag);
    using C = decltype(widen(tag));
    constexpr int n = 16 / sizeof(C);
    const auto run = [&](auto*... p) {
      if (x.size() % n == 0 && (aligned_16(p) && ...))
        launch("adam", blocks_for(x.size() / n), dim3(256), adam_packs<T, C, n>, by, x.size() / n, p...);
      else
        launch("adam", blocks_for(x.size()), dim3(256), adam_packs<T, C, 1>, by, x.size(), p...);
    };
    run(x.device_data<T>(), g.device_data<T>(), m.device_data<C>(), v.device_data<C>(), next_x.mutable_device_data<T>(),
        next_m.mutable_device_data<C>(), next_v.mutable_device_data<C>());
  });
}

}  // namespace costate::cuda
