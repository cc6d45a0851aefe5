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

/// erf x = x p(x^2 / 8 - 1) for |x| <= 4, where 1 - erf is below half a unit of f32. p is fitted to erf(sqrt t) / sqrt t in 144
/// Chebyshev points of [0, 16]: erf is off by 5e-10 of itself at most.
void erf_range(const float* x, float* y, std::size_t n) {
  constexpr double p[] = {9.7352003509931887e-05, -0.0002467088252131477, 0.000158341055127473,  -0.000324302583646856,
                          0.0014380182565593173,  -0.0029118389884856665, 0.0047468293807159927, -0.0083820741557550527,
                          0.0143975682162364,     -0.022563597692062148,  0.033047585787653246,  -0.04574400173493208,
                          0.05988893544674033,    -0.074730536097777883,  0.090208834048944087,  -0.1077102893794103,
                          0.13167512178025093,    -0.17657623587308188,   0.35353099561883194};
  const hn::ScalableTag<double> d;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto in = load_f64(d, x + i, n - i), end = hn::Set(d, 4);
    const auto v = hn::IfThenElse(hn::Gt(hn::Abs(in), end), hn::CopySign(end, in), in);  // NaN stays
    const auto u = hn::MulSub(hn::Mul(v, v), hn::Set(d, 0.125), hn::Set(d, 1));
    auto sum = hn::Set(d, p[0]);
    for (std::size_t k = 1; k < sizeof p / sizeof p[0]; ++k) sum = hn::MulAdd(sum, u, hn::Set(d, p[k]));
    const hn::Rebind<float, decltype(d)> narrow;
    store_some(hn::DemoteTo(narrow, hn::Mul(v, sum)), narrow, y + i, n - i);
  }
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
