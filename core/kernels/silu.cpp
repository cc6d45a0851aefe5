// SiLU on the CPU, for every instruction set.
#include "core/kernels/silu.h"

#include "core/parallel.h"

#ifndef COSTATE_SILU_ONCE
#define COSTATE_SILU_ONCE
namespace costate {
/// The loops of one instruction set.
template <class T>
struct SiluLoops {
  void (*forward)(const T* x, T* y, std::size_t n);
  void (*vjp)(const T* x, const T* g, T* dx, std::size_t n);
};
}  // namespace costate
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/silu.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

template <class T>
void silu_range(const T* x, T* y, std::size_t n) {
  const hn::ScalableTag<T> d;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
    store_some(silu(d, load_some(d, x + i, n - i)), d, y + i, n - i);
  }
}

template <class T>
void silu_vjp_range(const T* x, const T* g, T* dx, std::size_t n) {
  const hn::ScalableTag<T> d;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto v = load_some(d, x + i, n - i);
    store_some(hn::Mul(load_some(d, g + i, n - i), silu_slope(d, v)), d, dx + i, n - i);
  }
}

SiluLoops<float> silu_f32() { return {silu_range<float>, silu_vjp_range<float>}; }
SiluLoops<double> silu_f64() { return {silu_range<double>, silu_vjp_range<double>}; }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(silu_f32);
HWY_EXPORT(silu_f64);

namespace {

template <class T>
SiluLoops<T> loops() {
  if constexpr (std::is_same_v<T, float>)
    return HWY_DYNAMIC_DISPATCH(silu_f32)();
  else
    return HWY_DYNAMIC_DISPATCH(silu_f64)();
}

}  // namespace

void cpu::silu(const Tensor& x, Tensor& y) {
  visit_compute(x.dtype(), "silu", [&](auto tag) {
    using T = decltype(tag);
    const T* in = x.data<T>();
    T* out = y.mutable_data<T>();
    parallel_ranges(x.size(), 8192, [&](std::int64_t first, std::int64_t last) {
      loops<T>().forward(in + first, out + first, static_cast<std::size_t>(last - first));
    });
  });
}

void cpu::silu_vjp(const Tensor& x, const Tensor& g, Tensor& dx) {
  visit_compute(x.dtype(), "silu_vjp", [&](auto tag) {
    using T = decltype(tag);
    const T *in = x.data<T>(), *cotangent = g.data<T>();
    T* out = dx.mutable_data<T>();
    parallel_ranges(x.size(), 8192, [&](std::int64_t first, std::int64_t last) {
      loops<T>().vjp(in + first, cotangent + first, out + first, static_cast<std::size_t>(last - first));
    });
  });
}

}  // namespace costate
#endif
