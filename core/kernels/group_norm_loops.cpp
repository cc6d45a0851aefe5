// The loops of group norm, for every instruction set.
#include "core/kernels/group_norm_loops.h"

#include "core/dtype.h"
#include "core/kernels/pointwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/group_norm_loops.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

using cpu::GroupNormLoops, cpu::NormBand, cpu::NormChannels;

/// sum[c] and squares[c] of x - shift[c] over the pixels, for `vectors` vectors of channels: a cache line is read once.
template <std::size_t vectors, class T>
void channel_sums(const T* x, std::size_t pixels, std::size_t step, const double* shift, double* sum, double* squares,
                  std::size_t count) {
  const hn::ScalableTag<double> d;
  const std::size_t lanes = hn::Lanes(d);
  hn::Vec<decltype(d)> s[vectors], q[vectors], m[vectors];
  for (std::size_t k = 0; k < vectors; ++k) {
    s[k] = q[k] = hn::Zero(d);
    m[k] = shift == nullptr ? hn::Zero(d) : load_some(d, shift + k * lanes, count - k * lanes);
  }
  for (std::size_t i = 0; i < pixels; ++i, x += step)
    for (std::size_t k = 0; k < vectors; ++k) {
      const auto v = hn::Sub(vectors > 1 ? load_f64(d, x + k * lanes) : load_f64(d, x, count), m[k]);
      s[k] = hn::Add(s[k], v);
      q[k] = hn::MulAdd(v, v, q[k]);
    }
  for (std::size_t k = 0; k < vectors; ++k) {
    store_some(s[k], d, sum + k * lanes, count - k * lanes);
    store_some(q[k], d, squares + k * lanes, count - k * lanes);
  }
}

template <class T>
void band_sums(const NormBand<T>& b, const double* shift, double* sum, double* squares) {
  const std::size_t lanes = hn::Lanes(hn::ScalableTag<double>());
  for (std::size_t c = 0; c < b.channels;) {
    const std::size_t left = b.channels - c;
    const bool four = left >= 4 * lanes;
    (four ? channel_sums<4, T> : channel_sums<1, T>)(b.x + c, b.pixels, b.channels,
                                                     shift == nullptr ? nullptr : shift + c, sum + c, squares + c,
                                                     left);
    c += four ? 4 * lanes : lanes;
  }
}

template <class T, class S>
void band_forward(const NormBand<S>& b, const NormChannels<T>& k, bool with_silu, S* y) {
  const hn::ScalableTag<T> d;
  for (std::size_t i = 0; i < b.pixels; ++i) {
    const S* p = b.x + i * b.channels;
    S* out = y + i * b.channels;
    for (std::size_t c = 0; c < b.channels; c += hn::Lanes(d)) {
      const std::size_t n = b.channels - c;
      const auto centred = hn::Sub(load_as(d, p + c, n), load_some(d, k.mean + c, n));
      const auto u = hn::MulAdd(centred, load_some(d, k.scale + c, n), load_some(d, k.beta + c, n));
      store_as(with_silu ? silu(d, u) : u, d, out + c, n);
    }
  }
}

template <class D>
HWY_INLINE void add_lanes(D d, hn::Vec<D> v, double* sums) {
  HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  for (std::size_t l = 0; l < hn::Lanes(d); ++l) sums[l] += static_cast<double>(lanes[l]);
}

/// du = g, or g times the slope of silu at u; written to `du`, with sums of du and of du * xhat for `vectors` vectors of channels:
/// of a few pixels as T, of those as f64. From x to the slope is one long chain of operations, and few such chains fit what a core
/// looks ahead: so a few pixels go the first half of it, then they go the second.
template <std::size_t vectors, class T, class S>
void channels_backward(const NormBand<S>& b, const NormChannels<T>& k, std::size_t c, bool with_silu, const S* g, T* du,
                       double* sum, double* sum_xhat) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr std::size_t few = 16 / vectors;
  const std::size_t lanes = hn::Lanes(d), n = b.channels - c;
  const auto load = [&](const auto* p) { return vectors > 1 ? load_as(d, p) : load_as(d, p, n); };
  V mean[vectors], scale[vectors], beta[vectors];
  for (std::size_t v = 0; v < vectors; ++v) {
    mean[v] = load(k.mean + c + v * lanes);
    scale[v] = load(k.scale + c + v * lanes);
    beta[v] = load(k.beta + c + v * lanes);
  }
  double s[vectors * hn::MaxLanes(d)] = {}, x[vectors * hn::MaxLanes(d)] = {};
  HWY_ALIGN T centred[16 * hn::MaxLanes(d)], e[16 * hn::MaxLanes(d)];
  for (std::size_t first = 0; first < b.pixels; first += few) {
    const std::size_t pixels = HWY_MIN(few, b.pixels - first);
    const std::size_t start = first * b.channels + c;
    for (std::size_t i = 0; i < pixels; ++i)
      for (std::size_t v = 0; v < vectors; ++v) {
        const auto t = hn::Sub(load(b.x + start + i * b.channels + v * lanes), mean[v]);
        hn::Store(t, d, centred + (i * vectors + v) * lanes);
        if (with_silu)
          hn::Store(one_and_exp_of_minus(d, hn::MulAdd(t, scale[v], beta[v])), d, e + (i * vectors + v) * lanes);
      }
    V part[vectors], part_x[vectors];
    for (std::size_t v = 0; v < vectors; ++v) part[v] = part_x[v] = hn::Zero(d);
    for (std::size_t i = 0; i < pixels; ++i)
      for (std::size_t v = 0; v < vectors; ++v) {
        const std::size_t at = start + i * b.channels + v * lanes;
        const auto here = hn::Load(d, centred + (i * vectors + v) * lanes);
        auto t = load(g + at);
        if (with_silu)
          t = hn::Mul(t,
                      silu_slope(d, hn::MulAdd(here, scale[v], beta[v]), hn::Load(d, e + (i * vectors + v) * lanes)));
        if constexpr (vectors > 1)
          hn::StoreU(t, d, du + at);
        else
          store_some(t, d, du + at, n);
        part[v] = hn::Add(part[v], t);
        part_x[v] = hn::MulAdd(t, here, part_x[v]);
      }
    for (std::size_t v = 0; v < vectors; ++v) {
      add_lanes(d, part[v], s + v * lanes);
      add_lanes(d, part_x[v], x + v * lanes);
    }
  }
  for (std::size_t l = 0; l < HWY_MIN(vectors * lanes, n); ++l) {
    sum[c + l] = s[l];
    sum_xhat[c + l] = x[l] * static_cast<double>(k.rstd[c + l]);
  }
}

template <class T, class S>
void band_backward(const NormBand<S>& b, const NormChannels<T>& k, bool silu, const S* g, T* du, double* sum,
                   double* sum_xhat) {
  const std::size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  for (std::size_t c = 0; c < b.channels;) {
    const bool two = b.channels - c >= 2 * lanes;
    (two ? channels_backward<2, T, S> : channels_backward<1, T, S>)(b, k, c, silu, g, du, sum, sum_xhat);
    c += two ? 2 * lanes : lanes;
  }
}

/// dx = scale du - a - b xhat + addend (null: none), which may be in place over du; a and b hold rstd / m times the group's sums.
template <class T, class S>
void band_dx(const NormBand<S>& b, const NormChannels<T>& k, const T* a, const T* bx, const T* du, const S* addend,
             S* dx) {
  const hn::ScalableTag<T> d;
  for (std::size_t i = 0; i < b.pixels; ++i)
    for (std::size_t c = 0; c < b.channels; c += hn::Lanes(d)) {
      const std::size_t n = b.channels - c, at = i * b.channels + c;
      const auto xhat =
          hn::Mul(hn::Sub(load_as(d, b.x + at, n), load_some(d, k.mean + c, n)), load_some(d, k.rstd + c, n));
      const auto direct = hn::MulSub(load_some(d, du + at, n), load_some(d, k.scale + c, n), load_some(d, a + c, n));
      const auto whole = hn::NegMulAdd(xhat, load_some(d, bx + c, n), direct);
      store_as(addend != nullptr ? hn::Add(whole, load_as(d, addend + at, n)) : whole, d, dx + at, n);
    }
}

template <class T, class S>
GroupNormLoops<T, S> loops_of() {
  return {band_sums<S>, band_forward<T, S>, band_backward<T, S>, band_dx<T, S>};
}
GroupNormLoops<float, float> group_norm_f32() { return loops_of<float, float>(); }
GroupNormLoops<double, double> group_norm_f64() { return loops_of<double, double>(); }
GroupNormLoops<float, bf16> group_norm_bf16() { return loops_of<float, bf16>(); }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(group_norm_f32);
HWY_EXPORT(group_norm_f64);
HWY_EXPORT(group_norm_bf16);

template <>
cpu::GroupNormLoops<float, float> cpu::group_norm_loops() {
  return HWY_DYNAMIC_DISPATCH(group_norm_f32)();
}
template <>
cpu::GroupNormLoops<double, double> cpu::group_norm_loops() {
  return HWY_DYNAMIC_DISPATCH(group_norm_f64)();
}
template <>
cpu::GroupNormLoops<float, bf16> cpu::group_norm_loops() {
  return HWY_DYNAMIC_DISPATCH(group_norm_bf16)();
}

}  // namespace costate
#endif
