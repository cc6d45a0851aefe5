// Layer norm on the CPU, row by row; sums of a row in f64, those of gamma's and beta's gradients over stretches of rows, in order.
#include "core/kernels/row_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/kernels/copy.h"
#include "core/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/row_norm.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

#ifndef COSTATE_ROW_NORM_ONCE
#define COSTATE_ROW_NORM_ONCE
namespace costate::row_norm_detail {

/// Rows of `width`, with what they share.
template <class T>
struct Rows {
  const T *x, *gamma, *beta;
  std::size_t count, width;
  double eps;
  bool silu;
};

/// The loops of one instruction set. addend: to dx; null: none. sum and sum_xhat: of g and g xhat of these rows, for each channel;
/// null: not wanted.
template <class T>
struct RowNormLoops {
  void (*forward)(const Rows<T>&, T* y);
  void (*backward)(const Rows<T>&, const T* g, const T* addend, T* dx, double* sum, double* sum_xhat);
};

}  // namespace costate::row_norm_detail
#endif

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

using namespace row_norm_detail;  // NOLINT(google-build-using-namespace)

/// A sum in f64 of vectors of T.
template <class T>
class WideSum {
  using D = hn::ScalableTag<T>;
  using D64 = hn::ScalableTag<double>;

 public:
  HWY_INLINE WideSum() {
    low_ = hn::Zero(D64());
    high_ = hn::Zero(D64());
  }
  HWY_INLINE void add(hn::Vec<D> v) {
    low_ = hn::Add(low_, low(v));
    high_ = hn::Add(high_, high(v));
  }
  /// Squares of f32 are exact in f64.
  HWY_INLINE void add_square(hn::Vec<D> v) {
    low_ = hn::MulAdd(low(v), low(v), low_);
    high_ = hn::MulAdd(high(v), high(v), high_);
  }
  HWY_INLINE double total() const { return hn::GetLane(hn::SumOfLanes(D64(), hn::Add(low_, high_))); }

 private:
  static constexpr bool is_wide = sizeof(T) == sizeof(double);
  static HWY_INLINE hn::Vec<D64> low(hn::Vec<D> v) {
    if constexpr (is_wide)
      return v;
    else if constexpr (HWY_TARGET == HWY_SCALAR)
      return hn::PromoteTo(D64(), hn::Vec<hn::Rebind<float, D64>>(v));
    else
      return hn::PromoteTo(D64(), hn::LowerHalf(hn::Half<D>(), v));
  }
  static HWY_INLINE hn::Vec<D64> high(hn::Vec<D> v) {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (!is_wide) return hn::PromoteTo(D64(), hn::UpperHalf(hn::Half<D>(), v));
#endif
    static_cast<void>(v);
    return hn::Zero(D64());
  }

  hn::Vec<D64> low_, high_;
};

struct Moments {
  double mean, rstd;
};

/// Of f32 by one pass, of f64 by two, the second about the mean.
template <class T>
Moments moments(const T* x, std::size_t width, double eps) {
  const hn::ScalableTag<T> d;
  const std::size_t lanes = hn::Lanes(d);
  constexpr bool two_passes = sizeof(T) == sizeof(double);
  WideSum<T> sum, squares;
  for (std::size_t c = 0; c < width; c += lanes) {
    const auto v = load_some(d, x + c, width - c);
    sum.add(v);
    if (!two_passes) squares.add_square(v);
  }
  const double weight = 1 / static_cast<double>(width), mean = sum.total() * weight;
  if (two_passes) {
    const auto middle = hn::Set(d, static_cast<T>(mean));
    for (std::size_t c = 0; c < width; c += lanes) {
      const auto centred = hn::Sub(load_some(d, x + c, width - c), middle);
      squares.add_square(hn::IfThenElseZero(hn::FirstN(d, width - c), centred));
    }
  }
  const double variance = squares.total() * weight - (two_passes ? 0 : mean * mean);
  return {mean, 1 / std::sqrt(std::max(0.0, variance) + eps)};
}

template <class T>
void forward_rows(const Rows<T>& r, T* y) {
  const hn::ScalableTag<T> d;
  const T* x = r.x;
  for (std::size_t i = 0; i < r.count; ++i, x += r.width, y += r.width) {
    const Moments m = moments(x, r.width, r.eps);
    const auto mean = hn::Set(d, static_cast<T>(m.mean)), rstd = hn::Set(d, static_cast<T>(m.rstd));
    for (std::size_t c = 0; c < r.width; c += hn::Lanes(d)) {
      const std::size_t n = r.width - c;
      const auto scale = hn::Mul(rstd, load_some(d, r.gamma + c, n));
      const auto u = hn::MulAdd(hn::Sub(load_some(d, x + c, n), mean), scale, load_some(d, r.beta + c, n));
      store_some(r.silu ? silu(d, u) : u, d, y + c, n);
    }
  }
}

/// With v the cotangent of u: dx = rstd (gamma v - mean(gamma v) - xhat mean(gamma v xhat)) + addend; v waits in dx.
template <class T>
void backward_rows(const Rows<T>& r, const T* g, const T* addend, T* dx, double* sum, double* sum_xhat) {
  const hn::ScalableTag<T> d;
  const T* x = r.x;
  for (std::size_t i = 0; i < r.count; ++i, x += r.width, g += r.width, dx += r.width) {
    const Moments m = moments(x, r.width, r.eps);
    const auto mean = hn::Set(d, static_cast<T>(m.mean)), rstd = hn::Set(d, static_cast<T>(m.rstd));
    const auto normal = [&](std::size_t c) { return hn::Mul(hn::Sub(load_some(d, x + c, r.width - c), mean), rstd); };
    WideSum<T> all, all_xhat;
    for (std::size_t c = 0; c < r.width; c += hn::Lanes(d)) {
      const std::size_t n = r.width - c;
      const auto xhat = normal(c), gamma = load_some(d, r.gamma + c, n);
      auto v = load_some(d, g + c, n);
      if (r.silu) v = hn::Mul(v, silu_slope(d, hn::MulAdd(xhat, gamma, load_some(d, r.beta + c, n))));
      store_some(v, d, dx + c, n);
      const auto weighted = hn::Mul(gamma, v);
      all.add(weighted);
      all_xhat.add(hn::Mul(weighted, xhat));
    }
    const double weight = m.rstd / static_cast<double>(r.width);
    const auto a = hn::Set(d, static_cast<T>(all.total() * weight)),
               b = hn::Set(d, static_cast<T>(all_xhat.total() * weight));
    for (std::size_t c = 0; c < r.width; c += hn::Lanes(d)) {
      const std::size_t n = r.width - c;
      const auto xhat = normal(c), v = load_some(d, dx + c, n);
      if (sum != nullptr) {
        HWY_ALIGN T both[2 * hn::MaxLanes(d)];
        hn::Store(v, d, both);
        hn::Store(hn::Mul(v, xhat), d, both + hn::Lanes(d));
        for (std::size_t k = 0; k < std::min(n, hn::Lanes(d)); ++k) {
          sum[c + k] += static_cast<double>(both[k]);
          sum_xhat[c + k] += static_cast<double>(both[hn::Lanes(d) + k]);
        }
      }
      const auto direct = hn::MulSub(v, hn::Mul(rstd, load_some(d, r.gamma + c, n)), a);
      const auto whole = hn::NegMulAdd(xhat, b, direct);
      store_some(addend != nullptr ? hn::Add(whole, load_some(d, addend + c, n)) : whole, d, dx + c, n);
    }
    if (addend != nullptr) addend += r.width;
  }
}

RowNormLoops<float> row_norm_f32() { return {forward_rows<float>, backward_rows<float>}; }
RowNormLoops<double> row_norm_f64() { return {forward_rows<double>, backward_rows<double>}; }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(row_norm_f32);
HWY_EXPORT(row_norm_f64);

namespace {

using namespace row_norm_detail;  // NOLINT(google-build-using-namespace)

template <class T>
RowNormLoops<T> loops() {
  if constexpr (std::is_same_v<T, float>)
    return HWY_DYNAMIC_DISPATCH(row_norm_f32)();
  else
    return HWY_DYNAMIC_DISPATCH(row_norm_f64)();
}

/// Rows that a task takes: some thousand elements.
std::int64_t stretch_of(const Tensor& x) { return std::max<std::int64_t>(1, 8192 / x.dim(3)); }
std::int64_t stretches_of(const Tensor& x) { return (x.dim(0) + stretch_of(x) - 1) / stretch_of(x); }

/// run(first row, rows, stretch) on all of them.
template <class Run>
void over_stretches(const Tensor& x, const Run& run) {
  const std::int64_t each = stretch_of(x);
  parallel_for(stretches_of(x), [&](std::int64_t i) { run(i * each, std::min(each, x.dim(0) - i * each), i); });
}

template <class T>
Rows<T> rows_of(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  return {x.data<T>(), gamma.data<T>(), beta.data<T>(), 0, static_cast<std::size_t>(x.dim(3)), spec.eps, spec.silu};
}

}  // namespace

void cpu::row_norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor& y) {
  if (x.dtype() == DType::bf16)
    return through_f32(y,
                       [&](Tensor& wide) { row_norm(spec, to_compute(x), to_compute(gamma), to_compute(beta), wide); });
  visit_compute(x.dtype(), "group_norm", [&](auto tag) {
    using T = decltype(tag);
    const Rows<T> all = rows_of<T>(spec, x, gamma, beta);
    T* const to = y.mutable_data<T>();
    over_stretches(x, [&, forward = loops<T>().forward](std::int64_t first, std::int64_t count, std::int64_t) {
      Rows<T> rows = all;
      rows.x += first * x.dim(3);
      rows.count = static_cast<std::size_t>(count);
      forward(rows, to + first * x.dim(3));
    });
  });
}

void cpu::row_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                       const Tensor& g, const Tensor& addend, GroupNormGrads& grads) {
  if (x.dtype() == DType::bf16) {
    GroupNormGrads wide{f32_like(grads.x), f32_like(grads.gamma), f32_like(grads.beta)};
    row_norm_vjp(spec, to_compute(x), to_compute(gamma), to_compute(beta), to_compute(g), to_compute(addend), wide);
    grads = {to_stored(wide.x, DType::bf16), to_stored(wide.gamma, DType::bf16), to_stored(wide.beta, DType::bf16)};
    return;
  }
  visit_compute(x.dtype(), "group_norm", [&](auto tag) {
    using T = decltype(tag);
    const Rows<T> all = rows_of<T>(spec, x, gamma, beta);
    const T *from = g.data<T>(), *more = addend.defined() ? addend.data<T>() : nullptr;
    T* const to = grads.x.mutable_data<T>();
    const bool wanted = grads.gamma.defined() || grads.beta.defined();
    std::vector<double> sum(static_cast<std::size_t>(wanted ? stretches_of(x) * x.dim(3) : 0)), sum_xhat(sum.size());
    over_stretches(x, [&, backward = loops<T>().backward](std::int64_t first, std::int64_t count, std::int64_t i) {
      Rows<T> rows = all;
      const std::int64_t at = first * x.dim(3);
      rows.x += at;
      rows.count = static_cast<std::size_t>(count);
      backward(rows, from + at, more == nullptr ? nullptr : more + at, to + at,
               wanted ? sum.data() + i * x.dim(3) : nullptr, wanted ? sum_xhat.data() + i * x.dim(3) : nullptr);
    });
    add_parts<T>(sum_xhat, grads.gamma);
    add_parts<T>(sum, grads.beta);
  });
}

}  // namespace costate
#endif
