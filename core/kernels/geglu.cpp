// GEGLU on the CPU; of f32 in vectors, for every instruction set.
#include "core/kernels/geglu.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/parallel.h"

#ifndef COSTATE_GEGLU_ONCE
#define COSTATE_GEGLU_ONCE
namespace costate {
/// Rows of [a | b], `width` numbers each; of y and g as many.
template <class T>
struct GegluLoops {
  void (*forward)(const T* x, T* y, std::size_t rows, std::size_t width);
  void (*vjp)(const T* x, const T* g, T* dx, std::size_t rows, std::size_t width);
};
}  // namespace costate
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/geglu.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

/// P(b), in f64 lanes of f32's precision.
template <class D>
HWY_INLINE hn::Vec<D> normal_cdf(D d, hn::Vec<D> b) {
  const auto half = hn::Set(d, 0.5);
  return hn::MulAdd(half, erf_of_f32(d, hn::Mul(b, hn::Set(d, 1 / std::numbers::sqrt2))), half);
}

/// p(b), the same.
template <class D>
HWY_INLINE hn::Vec<D> normal_density(D d, hn::Vec<D> b) {
  const hn::Rebind<float, D> narrow;
  const auto power = hn::DemoteTo(narrow, hn::Mul(hn::Mul(b, b), hn::Set(d, -0.5)));
  return hn::Mul(hn::PromoteTo(d, exp_below_88(narrow, power)),
                 hn::Set(d, std::numbers::inv_sqrtpi / std::numbers::sqrt2));
}

void geglu_rows(const float* x, float* y, std::size_t rows, std::size_t width) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  for (std::size_t r = 0; r < rows; ++r, x += 2 * width, y += width) {
    for (std::size_t i = 0; i < width; i += hn::Lanes(d)) {
      const std::size_t left = width - i;
      const auto a = load_f64(d, x + i, left), b = load_f64(d, x + width + i, left);
      store_some(hn::DemoteTo(narrow, hn::Mul(a, hn::Mul(b, normal_cdf(d, b)))), narrow, y + i, left);
    }
  }
}

void geglu_vjp_rows(const float* x, const float* g, float* dx, std::size_t rows, std::size_t width) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  for (std::size_t r = 0; r < rows; ++r, x += 2 * width, g += width, dx += 2 * width) {
    for (std::size_t i = 0; i < width; i += hn::Lanes(d)) {
      const std::size_t left = width - i;
      const auto a = load_f64(d, x + i, left), b = load_f64(d, x + width + i, left), h = load_f64(d, g + i, left);
      const auto p = normal_cdf(d, b), slope = hn::MulAdd(b, normal_density(d, b), p);
      store_some(hn::DemoteTo(narrow, hn::Mul(h, hn::Mul(b, p))), narrow, dx + i, left);
      store_some(hn::DemoteTo(narrow, hn::Mul(h, hn::Mul(a, slope))), narrow, dx + width + i, left);
    }
  }
}

GegluLoops<float> geglu_f32() { return {geglu_rows, geglu_vjp_rows}; }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(geglu_f32);

namespace {

double normal_cdf(double b) { return 0.5 * (1 + std::erf(b * (1 / std::numbers::sqrt2))); }

void geglu_rows(const double* x, double* y, std::size_t rows, std::size_t width) {
  for (std::size_t r = 0; r < rows; ++r, x += 2 * width, y += width) {
    for (std::size_t i = 0; i < width; ++i) y[i] = x[i] * (x[width + i] * normal_cdf(x[width + i]));
  }
}

void geglu_vjp_rows(const double* x, const double* g, double* dx, std::size_t rows, std::size_t width) {
  constexpr double peak = std::numbers::inv_sqrtpi / std::numbers::sqrt2;  // p(0)
  for (std::size_t r = 0; r < rows; ++r, x += 2 * width, g += width, dx += 2 * width) {
    for (std::size_t i = 0; i < width; ++i) {
      const double b = x[width + i], p = normal_cdf(b);
      dx[i] = g[i] * (b * p);
      dx[width + i] = g[i] * (x[i] * (p + b * (peak * std::exp(-0.5 * b * b))));
    }
  }
}

template <class T>
GegluLoops<T> loops() {
  if constexpr (std::is_same_v<T, float>)
    return HWY_DYNAMIC_DISPATCH(geglu_f32)();
  else
    return {geglu_rows, geglu_vjp_rows};
}

/// Calls run(first row, rows) on pieces of some thousand numbers.
template <class Run>
void over_rows(const Tensor& x, const Run& run) {
  if (x.size() == 0) return;
  const std::int64_t width = x.dim(-1) / 2;
  parallel_ranges(x.size() / x.dim(-1), std::max<std::int64_t>(1, 4096 / width),
                  [&](std::int64_t first, std::int64_t last) {
                    run(first * width, static_cast<std::size_t>(last - first), static_cast<std::size_t>(width));
                  });
}

}  // namespace

void cpu::geglu(const Tensor& x, Tensor& y) {
  visit_compute(x.dtype(), "geglu", [&](auto tag) {
    using T = decltype(tag);
    const T* in = x.data<T>();
    T* out = y.mutable_data<T>();
    over_rows(x, [&, run = loops<T>().forward](std::int64_t at, std::size_t rows, std::size_t width) {
      run(in + 2 * at, out + at, rows, width);
    });
  });
}

void cpu::geglu_vjp(const Tensor& x, const Tensor& g, Tensor& dx) {
  visit_compute(x.dtype(), "geglu_vjp", [&](auto tag) {
    using T = decltype(tag);
    const T *in = x.data<T>(), *cotangent = g.data<T>();
    T* out = dx.mutable_data<T>();
    over_rows(x, [&, run = loops<T>().vjp](std::int64_t at, std::size_t rows, std::size_t width) {
      run(in + 2 * at, cotangent + at, out + 2 * at, rows, width);
    });
  });
}

}  // namespace costate
#endif
