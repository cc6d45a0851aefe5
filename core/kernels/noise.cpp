// Noise on the CPU, for every instruction set: where fma is an instruction and not a call, a normal takes a sixth of the time.
#include "core/kernels/noise.h"

#include <algorithm>

#include "core/parallel.h"

#ifndef COSTATE_NOISE_ONCE
#define COSTATE_NOISE_ONCE
namespace costate {
/// Fills pairs [first, last) of rows of `size` elements.
template <class T>
using FillLoop = void (*)(const NoiseStream& stream, std::int64_t first, std::int64_t last, std::int64_t size, T* out);
}  // namespace costate
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/noise.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

/// normal_pair for a block of pairs at a time, stage by stage, so that the compiler makes vectors of the stages.
/// Flattened: functions written for the baseline are compiled for this instruction set where they are inlined, and only there.
template <class T, std::int64_t block = 64>
HWY_FLATTEN void fill(const NoiseStream& stream, std::int64_t first, std::int64_t last, std::int64_t size, T* out) {
  const std::int64_t pairs = (size + 1) / 2;
  std::uint32_t c0[block], c1[block], c2[block], c3[block];
  double m[block], e[block], rest[block], radius[block], sin[block], cos[block];
  std::uint64_t quarters[block];
  for (; first < last; first += block) {
    const std::int64_t count = std::min(block, last - first), first_row = first / pairs, first_k = first % pairs;
    for (std::int64_t i = 0, row = first_row, k = first_k; i < block;
         ++i) {  // beyond the last pair as well: nobody reads it
      const auto c = stream.counter(row, k);
      c0[i] = c[0], c1[i] = c[1], c2[i] = c[2], c3[i] = c[3];
      if (++k == pairs) ++row, k = 0;
    }
    auto key = stream.key();
    for (int round = 0; round < Philox::rounds; ++round, key = Philox::next(key))
      for (std::int64_t i = 0; i < block; ++i) Philox::round(c0[i], c1[i], c2[i], c3[i], key);
    for (std::int64_t i = 0; i < block; ++i) {
      const auto p = detail::parts_of({c0[i], c1[i], c2[i], c3[i]});
      m[i] = p.m, e[i] = p.e, rest[i] = p.rest, quarters[i] = p.quarters;
    }
    for (std::int64_t i = 0; i < block; ++i) radius[i] = detail::radius(m[i], e[i]);
    for (std::int64_t i = 0; i < block; ++i) {
      const auto a = detail::series(rest[i]);
      sin[i] = a.sin, cos[i] = a.cos;
    }
    for (std::int64_t i = 0, row = first_row, k = first_k; i < count; ++i) {
      const auto z = detail::turned(quarters[i], radius[i], {sin[i], cos[i]});
      T* at = out + row * size + 2 * k;
      at[0] = static_cast<T>(z[0]);
      if (2 * k + 1 < size) at[1] = static_cast<T>(z[1]);
      if (++k == pairs) ++row, k = 0;
    }
  }
}

FillLoop<float> fill_f32() { return fill<float>; }
FillLoop<double> fill_f64() { return fill<double>; }
FillLoop<double> fill_few() { return fill<double, 8>; }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(fill_f32);
HWY_EXPORT(fill_f64);
HWY_EXPORT(fill_few);

void cpu::noise(const NoiseStream& stream, Tensor& y) {
  if (y.size() == 0) return;
  const std::int64_t size = y.size() / y.dim(0), pairs = (size + 1) / 2;
  visit_compute(y.dtype(), "normal_noise", [&](auto tag) {
    using T = decltype(tag);
    T* out = y.mutable_data<T>();
    FillLoop<T> fill;
    if constexpr (std::is_same_v<T, float>)
      fill = HWY_DYNAMIC_DISPATCH(fill_f32)();
    else
      fill = HWY_DYNAMIC_DISPATCH(fill_f64)();
    parallel_ranges(y.dim(0) * pairs, 2048,
                    [&](std::int64_t first, std::int64_t last) { fill(stream, first, last, size, out); });
  });
}

void cpu::normal_pairs(const NoiseStream& stream, std::int64_t first, std::int64_t count, double* out) {
  const auto fill = count > 16 ? HWY_DYNAMIC_DISPATCH(fill_f64)() : HWY_DYNAMIC_DISPATCH(fill_few)();
  fill(stream, first, first + count, 2 * (first + count), out - 2 * first);
}

}  // namespace costate
#endif
