// Vector helpers shared by the Highway kernels. Included once per instruction set by foreach_target.
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cstring>

// NOLINTBEGIN(llvm-header-guard): Highway toggles this guard for every target.
#if defined(COSTATE_CORE_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef COSTATE_CORE_KERNELS_SIMD_INL_H_
#undef COSTATE_CORE_KERNELS_SIMD_INL_H_
#else
#define COSTATE_CORE_KERNELS_SIMD_INL_H_
#endif
// NOLINTEND(llvm-header-guard)

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// The first `count` lanes from p, zeros behind; a full vector when count allows.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_some(D d, const T* p, size_t count) {
  if (count >= hn::Lanes(d)) return hn::LoadU(d, p);
  HWY_ALIGN T buffer[hn::MaxLanes(d)] = {};
  std::memcpy(buffer, p, count * sizeof(T));
  return hn::Load(d, buffer);
}

template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store_some(hn::Vec<D> v, D d, T* p, size_t count) {
  if (count >= hn::Lanes(d)) return hn::StoreU(v, d, p);
  HWY_ALIGN T buffer[hn::MaxLanes(d)];
  hn::Store(v, d, buffer);
  std::memcpy(p, buffer, count * sizeof(T));
}

/// f32 or f64 values as f64 lanes.
template <class D>
HWY_INLINE hn::Vec<D> load_f64(D d, const double* p, size_t count) {
  return load_some(d, p, count);
}
template <class D>
HWY_INLINE hn::Vec<D> load_f64(D d, const float* p, size_t count) {
  return hn::PromoteTo(d, load_some(hn::Rebind<float, D>(), p, count));
}

/// As load_f64 with a full vector.
template <class D>
HWY_INLINE hn::Vec<D> load_f64(D d, const double* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> load_f64(D d, const float* p) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, D>(), p));
}

/// x / (1 + e^-x), with e^-x kept inside the range of Exp.
template <class D>
HWY_INLINE hn::Vec<D> silu(D d, hn::Vec<D> x) {
  const auto limit = hn::Set(d, static_cast<hn::TFromD<D>>(sizeof(hn::TFromD<D>) == 4 ? 88 : 700));
  const auto one = hn::Set(d, static_cast<hn::TFromD<D>>(1));
  return hn::Div(x, hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(x), limit))));
}

/// 1 / (1 + e^-x), with e^-x kept inside the range of Exp.
template <class D>
HWY_INLINE hn::Vec<D> sigmoid(D d, hn::Vec<D> x) {
  const auto limit = hn::Set(d, static_cast<hn::TFromD<D>>(sizeof(hn::TFromD<D>) == 4 ? 88 : 700));
  const auto one = hn::Set(d, static_cast<hn::TFromD<D>>(1));
  return hn::Div(one, hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(x), limit))));
}

/// d silu / dx = s (1 + x (1 - s))
template <class D>
HWY_INLINE hn::Vec<D> silu_slope(D d, hn::Vec<D> x) {
  const auto one = hn::Set(d, static_cast<hn::TFromD<D>>(1));
  const auto s = sigmoid(d, x);
  return hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one));
}

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
