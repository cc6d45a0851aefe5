// Winograd's tile transforms: B^T and A^T of core/kernels/winograd_matrices.h, written out with their common terms shared.
#include "core/kernels/winograd_tiles.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/winograd_tiles.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;
using V32 = hn::Vec<F32>;

HWY_INLINE V32 times(float factor, V32 v, V32 add) { return hn::MulAdd(hn::Set(F32(), factor), v, add); }

template <int m>
struct Axis;

template <>
struct Axis<2> {
  static HWY_INLINE void input(const V32 (&d)[4], V32 (&v)[4]) {
    v[0] = hn::Sub(d[2], d[0]);
    v[1] = hn::Add(d[1], d[2]);
    v[2] = hn::Sub(d[2], d[1]);
    v[3] = hn::Sub(d[3], d[1]);
  }
  static HWY_INLINE void output(const V32 (&s)[4], V32 (&y)[2]) {
    y[0] = hn::Add(s[0], hn::Add(s[1], s[2]));
    y[1] = hn::Add(hn::Sub(s[1], s[2]), s[3]);
  }
};

template <>
struct Axis<4> {
  static HWY_INLINE void input(const V32 (&d)[6], V32 (&v)[6]) {
    const V32 even = hn::Sub(d[4], d[2]), odd = hn::Sub(d[3], d[1]);
    v[0] = times(1.5F, odd, hn::Add(hn::Sub(d[0], d[2]), even));
    v[1] = times(1.5F, hn::Add(d[2], d[3]), hn::Add(even, odd));
    v[2] = times(1.5F, hn::Sub(d[3], d[2]), hn::Sub(even, odd));
    v[3] = times(2, odd, even);
    v[4] = times(-0.5F, odd, even);
    v[5] = times(1.5F, even, hn::Sub(hn::Sub(d[5], d[3]), odd));
  }
  static HWY_INLINE void output(const V32 (&s)[6], V32 (&y)[4]) {
    const V32 even = hn::Add(s[1], s[2]), odd = hn::Sub(s[1], s[2]);
    y[0] = hn::Add(hn::Add(s[0], even), hn::Add(s[3], s[4]));
    y[1] = times(0.5F, s[3], times(-2, s[4], odd));
    y[2] = times(0.25F, s[3], times(4, s[4], even));
    y[3] = times(0.125F, s[3], times(-8, s[4], hn::Add(odd, s[5])));
  }
};

template <int m, class T>
void tile_input(const T* const* pixels, std::int64_t channels, std::int64_t step, float* out, float*, float*) {
  constexpr int n = m + 2;
  constexpr std::int64_t lanes = hn::MaxLanes(F32());
  for (std::int64_t c = 0; c < channels; c += lanes) {
    V32 half[n][n];  // columns are done
    for (int j = 0; j < n; ++j) {
      V32 d[n], v[n];
      if (c + lanes <= channels)
        for (int i = 0; i < n; ++i) d[i] = load_as(F32(), pixels[i * n + j] + c);
      else
        for (int i = 0; i < n; ++i)
          d[i] = load_as(F32(), pixels[i * n + j] + c, static_cast<std::size_t>(channels - c));
      Axis<m>::input(d, v);
      for (int i = 0; i < n; ++i) half[i][j] = v[i];
    }
    for (int i = 0; i < n; ++i) {
      V32 v[n];
      Axis<m>::input(half[i], v);
      for (int j = 0; j < n; ++j) hn::StoreU(v[j], F32(), out + (i * n + j) * step + c);
    }
  }
}

/// The floats in room, each point's norm, and their share of it.
template <int m, class T>
void tile_input(const T* const* pixels, std::int64_t channels, std::int64_t step, std::int16_t* out, float* scales,
                float* room) {
  constexpr std::int64_t lanes = hn::MaxLanes(F32());
  tile_input<m>(pixels, channels, step, room, nullptr, nullptr);
  for (int p = 0; p < (m + 2) * (m + 2); ++p, room += step, out += step) {
    V32 squares = hn::Zero(F32());
    for (std::int64_t c = 0; c < channels; c += lanes) {
      const V32 v = hn::LoadU(F32(), room + c);
      squares = hn::MulAdd(v, v, squares);
    }
    auto sum = static_cast<double>(hn::GetLane(hn::SumOfLanes(F32(), squares)));
    if (!(sum > 1e-25 && sum < 1e30)) {  // squares may have left f32's range
      sum = 0;
      for (std::int64_t c = 0; c < channels; ++c) sum += static_cast<double>(room[c]) * static_cast<double>(room[c]);
    }
    const auto norm = static_cast<float>(std::sqrt(sum));
    scales[p] = norm / cpu::fixed_point_norm;
    const V32 factor = hn::Set(F32(), norm < 1e-33F ? 0 : cpu::fixed_point_norm / norm);
    for (std::int64_t c = 0; c < channels; c += lanes) {
      const auto whole = hn::NearestInt(hn::Mul(hn::LoadU(F32(), room + c), factor));
      hn::StoreU(hn::DemoteTo(hn::Rebind<std::int16_t, F32>(), whole), hn::Rebind<std::int16_t, F32>(), out + c);
    }
  }
}

HWY_INLINE V32 sums_at(const float* in, std::int64_t at, const float*, std::int64_t, const float*) {
  return hn::LoadU(F32(), in + at);
}
HWY_INLINE V32 sums_at(const std::int32_t* in, std::int64_t at, const float* scales, std::int64_t p,
                       const float* weight_scales) {
  const V32 unit = hn::Mul(hn::Set(F32(), scales[p]), hn::LoadU(F32(), weight_scales + at));
  return hn::Mul(hn::ConvertTo(F32(), hn::LoadU(hn::RebindToSigned<F32>(), in + at)), unit);
}

template <int m, class T, class Sum>
void tile_output(const Sum* in, std::int64_t width, const float* scales, const float* weight_scales, const T* bias,
                 const T* const* addend, std::int64_t channels, T* const* pixels) {
  constexpr int n = m + 2;
  constexpr std::int64_t lanes = hn::MaxLanes(F32());
  for (std::int64_t c = 0; c < channels; c += lanes) {
    const auto count = static_cast<std::size_t>(channels - c);
    const V32 start = load_as(F32(), bias + c, count);
    V32 half[m][n];
    for (int j = 0; j < n; ++j) {
      V32 s[n], y[m];
      for (int i = 0; i < n; ++i) {
        const std::int64_t p = i * n + j;
        s[i] = sums_at(in, p * width + c, scales, p, weight_scales);
      }
      Axis<m>::output(s, y);
      for (int i = 0; i < m; ++i) half[i][j] = y[i];
    }
    for (int i = 0; i < m; ++i) {
      V32 y[m];
      Axis<m>::output(half[i], y);
      for (int j = 0; j < m; ++j)
        if (T* to = pixels[i * m + j]; to != nullptr) {
          const V32 sum = hn::Add(y[j], start);
          store_as(addend ? hn::Add(sum, load_as(F32(), addend[i * m + j] + c, count)) : sum, F32(), to + c, count);
        }
    }
  }
}

template <class T, class P>
cpu::WinogradTiles<T, P> tiles_of(int m) {
  if (m == 2) return {tile_input<2, T>, tile_output<2, T, cpu::TileOut<P>>};
  return {tile_input<4, T>, tile_output<4, T, cpu::TileOut<P>>};
}
cpu::WinogradTiles<float, float> tiles_of_f32(int m) { return tiles_of<float, float>(m); }
cpu::WinogradTiles<bf16, float> tiles_of_bf16(int m) { return tiles_of<bf16, float>(m); }
cpu::WinogradTiles<bf16, std::int16_t> tiles_of_bf16_fixed(int m) { return tiles_of<bf16, std::int16_t>(m); }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(tiles_of_f32);
HWY_EXPORT(tiles_of_bf16);
HWY_EXPORT(tiles_of_bf16_fixed);

template <>
cpu::WinogradTiles<float, float> cpu::winograd_tiles(int m) {
  return HWY_DYNAMIC_DISPATCH(tiles_of_f32)(m);
}
template <>
cpu::WinogradTiles<bf16, float> cpu::winograd_tiles(int m) {
  return HWY_DYNAMIC_DISPATCH(tiles_of_bf16)(m);
}
template <>
cpu::WinogradTiles<bf16, std::int16_t> cpu::winograd_tiles(int m) {
  return HWY_DYNAMIC_DISPATCH(tiles_of_bf16_fixed)(m);
}

}  // namespace costate
#endif
