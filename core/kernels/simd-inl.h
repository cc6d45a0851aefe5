// Vector helpers shared by the Highway kernels. Included once per instruction set by foreach_target.
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "core/dtype.h"

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
  if constexpr (!HWY_MEM_OPS_MIGHT_FAULT) return hn::MaskedLoad(hn::FirstN(d, count), d, p);
  HWY_ALIGN T buffer[hn::MaxLanes(d)] = {};
  std::memcpy(buffer, p, count * sizeof(T));
  return hn::Load(d, buffer);
}

template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store_some(hn::Vec<D> v, D d, T* p, size_t count) {
  if (count >= hn::Lanes(d)) return hn::StoreU(v, d, p);
  if constexpr (!HWY_MEM_OPS_MIGHT_FAULT) return hn::BlendedStore(v, hn::FirstN(d, count), d, p);
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

/// bf16 in 16 bits each, as f32 lanes.
template <class D, class Half>
HWY_INLINE hn::Vec<D> widened(D d, Half half) {
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<D>(), half)));
}

/// The way back, to nearest even (core/dtype.h).
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<std::uint16_t, D>> rounded(D, hn::Vec<D> v) {
  const hn::RebindToUnsigned<D> wide;
  const auto bits = hn::BitCast(wide, v), last = hn::And(hn::ShiftRight<16>(bits), hn::Set(wide, 1));
  const auto number = hn::Add(bits, hn::Add(last, hn::Set(wide, 0x7fff))), nan = hn::Or(bits, hn::Set(wide, 0x400000));
  const auto kept = hn::IfThenElse(hn::RebindMask(wide, hn::IsNaN(v)), nan, number);
  return hn::TruncateTo(hn::Rebind<std::uint16_t, D>(), hn::ShiftRight<16>(kept));
}

/// Stored values as lanes of their own type, or bf16 as f32: a full vector, or the first `count` lanes and zeros behind.
template <class D>
HWY_INLINE hn::Vec<D> load_as(D d, const hn::TFromD<D>* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> load_as(D d, const bf16* p) {
  return widened(d, hn::LoadU(hn::Rebind<std::uint16_t, D>(), &p->bits));
}
template <class D>
HWY_INLINE hn::Vec<D> load_as(D d, const hn::TFromD<D>* p, size_t count) {
  return load_some(d, p, count);
}
template <class D>
HWY_INLINE hn::Vec<D> load_as(D d, const bf16* p, size_t count) {
  return widened(d, load_some(hn::Rebind<std::uint16_t, D>(), &p->bits, count));
}

template <class D>
HWY_INLINE void store_as(hn::Vec<D> v, D d, hn::TFromD<D>* p, size_t count) {
  store_some(v, d, p, count);
}
template <class D>
HWY_INLINE void store_as(hn::Vec<D> v, D d, bf16* p, size_t count) {
  store_some(rounded(d, v), hn::Rebind<std::uint16_t, D>(), &p->bits, count);
}

template <class D>
HWY_INLINE hn::Vec<D> load_f64(D d, const bf16* p, size_t count) {
  return hn::PromoteTo(d, load_as(hn::Rebind<float, D>(), p, count));
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
template <class D>
HWY_INLINE hn::Vec<D> load_f64(D d, const bf16* p) {
  return hn::PromoteTo(d, load_as(hn::Rebind<float, D>(), p));
}

/// e^x for x <= 88, of f32 within an ulp; nothing below -87, whose e^x is the least normal number. x = n ln 2 + r with |r| <= ln 2 / 2;
/// e^r - 1 = r + r^2 q(r), where q, fitted in 60 Chebyshev points, is off by a sixteenth of an ulp.
template <class D>
HWY_INLINE hn::Vec<D> exp_below_88(D d, hn::Vec<D> x) {
  if constexpr (sizeof(hn::TFromD<D>) == 8)
    return hn::Exp(d, x);
  else {
    const hn::RebindToSigned<D> whole;
    const auto round = hn::Set(d, 12582912.0F);  // 1.5 * 2^23: added, it leaves n in the last bits
    const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504F), round), n = hn::Sub(shifted, round);
    auto r = hn::NegMulAdd(n, hn::Set(d, 0.693145751953125F), x);  // ln 2 in two parts
    r = hn::NegMulAdd(n, hn::Set(d, 1.42860677e-6F), r);
    auto q = hn::MulAdd(hn::Set(d, 1.3751702e-3F), r, hn::Set(d, 8.3689151e-3F));
    q = hn::MulAdd(q, r, hn::Set(d, 4.1669527e-2F));
    q = hn::MulAdd(q, r, hn::Set(d, 1.6666518e-1F));
    q = hn::MulAdd(q, r, hn::Set(d, 4.9999989e-1F));
    const auto e_r = hn::Add(hn::MulAdd(hn::Mul(r, r), q, r), hn::Set(d, 1.0F));
    const auto power = hn::ShiftLeft<23>(hn::BitCast(whole, shifted));
    const auto y = hn::BitCast(d, hn::Add(hn::BitCast(whole, e_r), power));
    return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.0F)), y);
  }
}

/// 1 + e^-x, with e^-x kept inside the range of the exponential.
template <class D>
HWY_INLINE hn::Vec<D> one_and_exp_of_minus(D d, hn::Vec<D> x) {
  const auto limit = hn::Set(d, static_cast<hn::TFromD<D>>(sizeof(hn::TFromD<D>) == 4 ? 88 : 700));
  return hn::Add(hn::Set(d, static_cast<hn::TFromD<D>>(1)), exp_below_88(d, hn::Min(hn::Neg(x), limit)));
}

/// x / (1 + e^-x)
template <class D>
HWY_INLINE hn::Vec<D> silu(D d, hn::Vec<D> x) {
  return hn::Div(x, one_and_exp_of_minus(d, x));
}

/// 1 / (1 + e^-x)
template <class D>
HWY_INLINE hn::Vec<D> sigmoid(D d, hn::Vec<D> x) {
  return hn::Div(hn::Set(d, static_cast<hn::TFromD<D>>(1)), one_and_exp_of_minus(d, x));
}

/// d silu / dx = s (1 + x (1 - s)), s = 1 / (1 + e^-x), of x and 1 + e^-x
template <class D>
HWY_INLINE hn::Vec<D> silu_slope(D d, hn::Vec<D> x, hn::Vec<D> one_and_exp) {
  const auto one = hn::Set(d, static_cast<hn::TFromD<D>>(1));
  const auto s = hn::Div(one, one_and_exp);
  return hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one));
}
template <class D>
HWY_INLINE hn::Vec<D> silu_slope(D d, hn::Vec<D> x) {
  return silu_slope(d, x, one_and_exp_of_minus(d, x));
}

/// erf x for results of f32: in f64 lanes, off by 5e-10 of itself at most. x p(x^2 / 8 - 1) up to |x| = 4, with p fitted to
/// erf(sqrt t) / sqrt t in 144 Chebyshev points of [0, 16]; 1 from there on, where 1 - erf is below half a unit of f32.
template <class D>
HWY_INLINE hn::Vec<D> erf_of_f32(D d, hn::Vec<D> x) {
  constexpr double p[] = {9.7352003509931887e-05, -0.0002467088252131477, 0.000158341055127473,  -0.000324302583646856,
                          0.0014380182565593173,  -0.0029118389884856665, 0.0047468293807159927, -0.0083820741557550527,
                          0.0143975682162364,     -0.022563597692062148,  0.033047585787653246,  -0.04574400173493208,
                          0.05988893544674033,    -0.074730536097777883,  0.090208834048944087,  -0.1077102893794103,
                          0.13167512178025093,    -0.17657623587308188,   0.35353099561883194};
  const auto one = hn::Set(d, 1), u = hn::MulSub(hn::Mul(x, x), hn::Set(d, 0.125), one), square = hn::Mul(u, u);
  auto even = hn::Set(d, p[0]), odd = hn::Set(d, p[1]);  // two chains, as one would wait for itself
  for (std::size_t k = 2; k < sizeof p / sizeof p[0]; k += 2) even = hn::MulAdd(even, square, hn::Set(d, p[k]));
  for (std::size_t k = 3; k < sizeof p / sizeof p[0]; k += 2) odd = hn::MulAdd(odd, square, hn::Set(d, p[k]));
  const auto sum = hn::MulAdd(odd, u, even);
  return hn::IfThenElse(hn::Gt(hn::Abs(x), hn::Set(d, 4)), hn::CopySign(one, x), hn::Mul(x, sum));  // NaN stays
}

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
