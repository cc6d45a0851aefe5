// Softmax rows on the CPU, for every instruction set.
#include "core/kernels/softmax.h"

#include "core/parallel.h"

#ifndef COSTATE_SOFTMAX_ONCE
#define COSTATE_SOFTMAX_ONCE
namespace costate {
/// The loops of one instruction set.
template <class T>
struct SoftmaxLoops {
  void (*forward)(const T* x, T* y, std::size_t rows, std::size_t width, std::size_t step, T factor);
  void (*vjp)(const T* y, const T* g, T* dx, std::size_t rows, std::size_t width, std::size_t step, T factor);
};
}  // namespace costate
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/softmax.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

/// Sum of all lanes in one fixed order.
template <class D>
HWY_INLINE hn::TFromD<D> lane_sum(D d, hn::Vec<D> v) {
  return hn::GetLane(hn::SumOfLanes(d, v));
}

// Where there is room between the rows, every load and store below is a whole vector.
template <class T>
void softmax_rows(const T* x, T* y, std::size_t rows, std::size_t width, std::size_t step, T factor) {
  const hn::ScalableTag<T> d;
  const std::size_t lanes = hn::Lanes(d), whole = width / lanes * lanes;
  const auto last = hn::FirstN(d, width - whole);
  const auto f = hn::Set(d, factor);
  for (std::size_t r = 0; r < rows; ++r, x += step, y += step) {
    auto top = hn::Set(d, x[0] * factor);
    for (std::size_t i = 0; i < whole; i += lanes) top = hn::Max(top, hn::Mul(hn::LoadU(d, x + i), f));
    if (whole < width) top = hn::Max(top, hn::IfThenElse(last, hn::Mul(load_some(d, x + whole, step - whole), f), top));
    const auto shift = hn::Set(d, hn::GetLane(hn::MaxOfLanes(d, top)));
    auto sum = hn::Zero(d);
    for (std::size_t i = 0; i < width; i += lanes) {
      auto e = exp_below_88(d, hn::MulSub(load_some(d, x + i, step - i), f, shift));
      if (i == whole) e = hn::IfThenElseZero(last, e);
      sum = hn::Add(sum, e);
      store_some(e, d, y + i, step - i);
    }
    const auto scale = hn::Set(d, static_cast<T>(1) / lane_sum(d, sum));
    for (std::size_t i = 0; i < width; i += lanes)
      store_some(hn::Mul(load_some(d, y + i, step - i), scale), d, y + i, step - i);
  }
}

template <class T>
void softmax_vjp_rows(const T* y, const T* g, T* dx, std::size_t rows, std::size_t width, std::size_t step, T factor) {
  const hn::ScalableTag<T> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto f = hn::Set(d, factor);
  for (std::size_t r = 0; r < rows; ++r, y += step, g += step, dx += step) {
    auto sum = hn::Zero(d);
    for (std::size_t i = 0; i < width; i += lanes)
      sum = hn::MulAdd(load_some(d, y + i, step - i), load_some(d, g + i, step - i), sum);
    const auto inner = hn::Set(d, lane_sum(d, sum));
    for (std::size_t i = 0; i < width; i += lanes) {
      const auto shifted = hn::Sub(load_some(d, g + i, step - i), inner);
      store_some(hn::Mul(hn::Mul(load_some(d, y + i, step - i), shifted), f), d, dx + i, step - i);
    }
  }
}

SoftmaxLoops<float> softmax_f32() { return {softmax_rows<float>, softmax_vjp_rows<float>}; }
SoftmaxLoops<double> softmax_f64() { return {softmax_rows<double>, softmax_vjp_rows<double>}; }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(softmax_f32);
HWY_EXPORT(softmax_f64);

namespace {

template <class T>
SoftmaxLoops<T> loops() {
  if constexpr (std::is_same_v<T, float>)
    return HWY_DYNAMIC_DISPATCH(softmax_f32)();
  else
    return HWY_DYNAMIC_DISPATCH(softmax_f64)();
}

/// Calls run(first row, rows) on pieces of some thousand elements.
template <class Run>
void over_rows(const Tensor& x, const Run& run) {
  const std::int64_t width = x.dim(-1);
  if (x.size() == 0) return;
  parallel_ranges(x.size() / width, std::max<std::int64_t>(1, 8192 / width),
                  [&](std::int64_t first, std::int64_t last) { run(first * width, last - first); });
}

}  // namespace

template <class T>
void cpu::softmax_rows(const T* x, T* y, std::int64_t rows, std::int64_t width, std::int64_t step, double factor) {
  loops<T>().forward(x, y, static_cast<std::size_t>(rows), static_cast<std::size_t>(width),
                     static_cast<std::size_t>(step), static_cast<T>(factor));
}
template <class T>
void cpu::softmax_vjp_rows(const T* y, const T* g, T* dx, std::int64_t rows, std::int64_t width, std::int64_t step,
                           double factor) {
  loops<T>().vjp(y, g, dx, static_cast<std::size_t>(rows), static_cast<std::size_t>(width),
                 static_cast<std::size_t>(step), static_cast<T>(factor));
}
template void cpu::softmax_rows(const float*, float*, std::int64_t, std::int64_t, std::int64_t, double);
template void cpu::softmax_rows(const double*, double*, std::int64_t, std::int64_t, std::int64_t, double);
template void cpu::softmax_vjp_rows(const float*, const float*, float*, std::int64_t, std::int64_t, std::int64_t,
                                    double);
template void cpu::softmax_vjp_rows(const double*, const double*, double*, std::int64_t, std::int64_t, std::int64_t,
                                    double);

void cpu::softmax(const Tensor& x, Tensor& y) {
  visit_compute(x.dtype(), "softmax", [&](auto tag) {
    using T = decltype(tag);
    const T* in = x.data<T>();
    T* out = y.mutable_data<T>();
    over_rows(x,
              [&](std::int64_t at, std::int64_t rows) { softmax_rows(in + at, out + at, rows, x.dim(-1), x.dim(-1)); });
  });
}

void cpu::softmax_vjp(const Tensor& y, const Tensor& g, Tensor& dx) {
  visit_compute(y.dtype(), "softmax_vjp", [&](auto tag) {
    using T = decltype(tag);
    const T *probability = y.data<T>(), *cotangent = g.data<T>();
    T* out = dx.mutable_data<T>();
    over_rows(y, [&](std::int64_t at, std::int64_t rows) {
      softmax_vjp_rows(probability + at, cotangent + at, out + at, rows, y.dim(-1), y.dim(-1));
    });
  });
}

}  // namespace costate
#endif
