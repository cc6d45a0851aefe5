// y = erf x; of f32 in vectors, for every instruction set.
#include "core/kernels/erf.h"

#include <cmath>

#ifndef COSTATE_ERF_ONCE
#define COSTATE_ERF_ONCE
namespace costate {
using ErfLoop = void (*)(const float* x, float* y, std::size_t n);
}  // namespace costate
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/erf.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

void erf_range(const float* x, float* y, std::size_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d))
    store_some(hn::DemoteTo(narrow, erf_of_f32(d, load_f64(d, x + i, n - i))), narrow, y + i, n - i);
}

ErfLoop erf_f32() { return erf_range; }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(erf_f32);

void cpu::erf(const Tensor& x, Tensor& y) {
  if (x.dtype() != DType::f32) return map("erf", x, y, [](auto v) { return std::erf(v); });
  const float* in = x.data<float>();
  float* out = y.mutable_data<float>();
  parallel_ranges(x.size(), 8192, [&, loop = HWY_DYNAMIC_DISPATCH(erf_f32)()](std::int64_t first, std::int64_t last) {
    loop(in + first, out + first, static_cast<std::size_t>(last - first));
  });
}

}  // namespace costate
#endif
