// GEGLU and its vector-Jacobian product: a thread has the same 16 bytes of both halves of a row, where rows are whole words.
#include "core/kernels/geglu.h"

#include <cmath>
#include <numbers>

#include "gpu/elementwise.h"
#include "gpu/loops.h"
#include "gpu/precision.h"
#include "gpu/sigmoid.h"

namespace costate::cuda {
namespace {

template <class C>
__device__ C normal_cdf(C b) {
  return (1 + std::erf(b * (1 / std::numbers::sqrt2_v<C>))) / 2;
}

template <class C>
__device__ C normal_density(C b) {
  return fast_exp(-b * b / 2) * (std::numbers::inv_sqrtpi_v<C> / std::numbers::sqrt2_v<C>);
}

// The loops are over packs of y, of which a row has `width`; they find them in x and in y.

template <class T, int n>
__global__ void __launch_bounds__(256)
    geglu_packs(const __grid_constant__ Loops<2> loops, std::int64_t width, const T* x, T* y) {
  kernel_begins();
  const auto* halves = reinterpret_cast<const Pack<T, n>*>(x);
  over_elements(loops, [&](std::int64_t, const std::int64_t(&at)[2]) {
    const Pack<T, n> a = halves[at[0]], b = halves[at[0] + width];
    decltype(widen(T{})) out[n];
#pragma unroll
    for (int k = 0; k < n; ++k) out[k] = a[k] * (b[k] * normal_cdf(b[k]));
    store_word(y + at[1] * n, Pack<T, n>::of(out));
  });
}

template <class T, int n>
__global__ void __launch_bounds__(256)
    geglu_vjp_packs(const __grid_constant__ Loops<2> loops, std::int64_t width, const T* x, const T* g, T* dx) {
  kernel_begins();
  const auto* halves = reinterpret_cast<const Pack<T, n>*>(x);
  over_elements(loops, [&](std::int64_t, const std::int64_t(&at)[2]) {
    const Pack<T, n> a = halves[at[0]], b = halves[at[0] + width],
                     cotangent = reinterpret_cast<const Pack<T, n>*>(g)[at[1]];
    decltype(widen(T{})) da[n], db[n];
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const auto v = b[k], p = normal_cdf(v);
      da[k] = cotangent[k] * (v * p);
      db[k] = cotangent[k] * (a[k] * (p + v * normal_density(v)));
    }
    store_word(dx + at[0] * n, Pack<T, n>::of(da));
    store_word(dx + (at[0] + width) * n, Pack<T, n>::of(db));
  });
}

Loops<2> loops_of(std::int64_t rows, std::int64_t width) {
  Loops<2> loops;
  loops.push(rows, {2 * width, width});
  loops.push(width, {1, 1});
  return loops;
}

}  // namespace

void geglu(const Tensor& x, Tensor& y) {
  if (y.size() == 0) return;
  visit_floating(x.dtype(), "geglu", [&](auto tag) {
    using T = decltype(tag);
    constexpr int n = 16 / sizeof(T);
    const std::int64_t width = y.dim(-1), rows = y.size() / width;
    const T* in = x.device_data<T>();
    T* out = y.mutable_device_data<T>();
    const auto run = [&](const auto& kernel, std::int64_t packs) {
      launch("geglu", blocks_for(rows * packs), dim3(256), kernel, loops_of(rows, packs), packs, in, out);
    };
    if (width % n == 0 && aligned_16(in) && aligned_16(out))
      run(geglu_packs<T, n>, width / n);
    else
      run(geglu_packs<T, 1>, width);
  });
}

void geglu_vjp(const Tensor& x, const Tensor& g, Tensor& dx) {
  if (g.size() == 0) return;
  visit_floating(x.dtype(), "geglu_vjp", [&](auto tag) {
    using T = decltype(tag);
    constexpr int n = 16 / sizeof(T);
    const std::int64_t width = g.dim(-1), rows = g.size() / width;
    const T *in = x.device_data<T>(), *cotangent = g.device_data<T>();
    T* out = dx.mutable_device_data<T>();
    const auto run = [&](const auto& kernel, std::int64_t packs) {
      launch("geglu_vjp", blocks_for(rows * packs), dim3(256), kernel, loops_of(rows, packs), packs, in, cotangent,
             out);
    };
    if (width % n == 0 && aligned_16(in) && aligned_16(cotangent) && aligned_16(out))
      run(geglu_vjp_packs<T, n>, width / n);
    else
      run(geglu_vjp_packs<T, 1>, width);
  });
}

}  // namespace costate::cuda
