// One step of Adam on the CPU, for every instruction set.
#include "core/kernels/adam.h"

#include "core/kernels/copy.h"
#include "core/kernels/pointwise.h"
#include "core/parallel.h"

#ifndef COSTATE_ADAM_ONCE
#define COSTATE_ADAM_ONCE
namespace costate {
/// Elements stored as T and computed in C.
template <class T, class C = decltype(widen(T{}))>
struct AdamRange {
  const T *x, *g;
  const C *m, *v;
  T* next_x;
  C *next_m, *next_v;
};
/// The loop of one instruction set.
template <class T>
using AdamLoop = void (*)(const AdamFactors&, const AdamRange<T>&, std::size_t first, std::size_t last);
}  // namespace costate
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/adam.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

template <class T, class C = decltype(widen(T{}))>
void adam_range(const AdamFactors& by, const AdamRange<T>& at, std::size_t first, std::size_t last) {
  const hn::ScalableTag<C> d;
  const auto set = [&](double c) HWY_ATTR { return hn::Set(d, static_cast<C>(c)); };
  const auto beta_1 = set(by.beta_1), rest_1 = set(1 - by.beta_1), beta_2 = set(by.beta_2), rest_2 = set(1 - by.beta_2);
  const auto rate = set(by.rate), unbias = set(by.unbias), tiny = set(by.tiny);
  for (std::size_t i = first; i < last; i += hn::Lanes(d)) {
    const std::size_t left = last - i;
    const auto g = load_as(d, at.g + i, left);
    const auto m = hn::MulAdd(beta_1, load_some(d, at.m + i, left), hn::Mul(rest_1, g));
    const auto v = hn::MulAdd(beta_2, load_some(d, at.v + i, left), hn::Mul(rest_2, hn::Mul(g, g)));
    const auto direction = hn::Div(m, hn::Add(hn::Sqrt(hn::Mul(unbias, v)), tiny));
    store_some(m, d, at.next_m + i, left);
    store_some(v, d, at.next_v + i, left);
    store_as(hn::NegMulAdd(rate, direction, load_as(d, at.x + i, left)), d, at.next_x + i, left);
  }
}

AdamLoop<float> adam_f32() { return adam_range<float>; }
AdamLoop<double> adam_f64() { return adam_range<double>; }
AdamLoop<bf16> adam_bf16() { return adam_range<bf16>; }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(adam_f32);
HWY_EXPORT(adam_f64);
HWY_EXPORT(adam_bf16);

namespace {

template <class T>
AdamLoop<T> loop() {
  if constexpr (std::is_same_v<T, float>)
    return HWY_DYNAMIC_DISPATCH(adam_f32)();
  else if constexpr (std::is_same_v<T, double>)
    return HWY_DYNAMIC_DISPATCH(adam_f64)();
  else
    return HWY_DYNAMIC_DISPATCH(adam_bf16)();
}

}  // namespace

void cpu::adam(const AdamFactors& by, const Tensor& x, const Tensor& g, const Tensor& m, const Tensor& v,
               Tensor& next_x, Tensor& next_m, Tensor& next_v) {
  visit_floating(x.dtype(), "adam", [&](auto tag) {
    using T = decltype(tag);
    using C = decltype(widen(tag));
    const AdamRange<T> at{x.data<T>(),
                          g.data<T>(),
                          m.data<C>(),
                          v.data<C>(),
                          next_x.mutable_data<T>(),
                          next_m.mutable_data<C>(),
                          next_v.mutable_data<C>()};
    parallel_ranges(x.size(), 8192, [&, run = loop<T>()](std::int64_t first, std::int64_t last) {
      run(by, at, static_cast<std::size_t>(first), static_cast<std::size_t>(last));
    });
  });
}

}  // namespace costate
#endif
