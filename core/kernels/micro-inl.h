// The register tile, compiled once per instruction set (Highway's foreach_target includes this file again and again).
#if defined(COSTATE_CORE_KERNELS_MICRO_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef COSTATE_CORE_KERNELS_MICRO_INL_H
#undef COSTATE_CORE_KERNELS_MICRO_INL_H
#else
#define COSTATE_CORE_KERNELS_MICRO_INL_H
#endif

#include <hwy/highway.h>

#include <utility>

#include "core/kernels/micro.h"

HWY_BEFORE_NAMESPACE();
namespace costate::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// 6 x 4 sums, 4 columns and a broadcast fill 32 registers; 6 x 2 sums, 2 columns and a broadcast fill 16.
inline constexpr std::int64_t vectors_here =
    HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON ? 4 : 2;

// Every index below is a template argument: g++ 12 keeps sums in memory when it has to unroll such loops by itself.
template <class T, std::size_t rows, std::size_t vectors>
class Tile {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  using Vectors = std::make_index_sequence<vectors>;
  using Rows = std::make_index_sequence<rows>;
  static constexpr std::size_t lanes = HWY_LANES(T);

 public:
  static void run(const TileWork<T>& work) {
    Tile tile;
    if (work.accumulate || work.bias != nullptr)
      tile.load(work, Rows());
    else
      tile.zero(std::make_index_sequence<rows * vectors>());
    for (std::int64_t s = 0; s < work.count; ++s) tile.add(work.segments[s], work.a_step, work.b_step);
    tile.store(work, Rows());
  }

 private:
  template <std::size_t... i>
  HWY_INLINE void zero(std::index_sequence<i...>) {
    ((sum_[i] = hn::Zero(D())), ...);
  }

  HWY_INLINE void add(const Segment<T>& segment, std::int64_t a_step, std::int64_t b_step) {
    const T* b = segment.b;
    const std::int64_t end = segment.length * a_step;
    for (std::int64_t k = 0; k != end; k += a_step, b += b_step) add_step(segment, k, b, Rows(), Vectors());
  }

  template <std::size_t... r, std::size_t... v>
  HWY_INLINE void add_step(const Segment<T>& s, std::int64_t k, const T* b, std::index_sequence<r...>,
                           std::index_sequence<v...>) {
    const V column[vectors] = {hn::LoadU(D(), b + v * lanes)...};
    (add_row<r>(hn::Set(D(), s.a[r][k]), column, Vectors()), ...);
  }

  template <std::size_t r, std::size_t... v>
  HWY_INLINE void add_row(V a, const V* column, std::index_sequence<v...>) {
    ((sum_[r * vectors + v] = hn::MulAdd(a, column[v], sum_[r * vectors + v])), ...);
  }

  template <std::size_t... r>
  HWY_INLINE void load(const TileWork<T>& work, std::index_sequence<r...>) {
    (load_row<r>(work.accumulate ? work.out[r] : work.bias, work.columns, Vectors()), ...);
  }

  template <std::size_t r, std::size_t... v>
  HWY_INLINE void load_row(const T* in, std::int64_t columns, std::index_sequence<v...>) {
    HWY_ALIGN T part[vectors * lanes] = {};
    if (columns != vectors * lanes) {
      for (std::int64_t c = 0; c < columns; ++c) part[c] = in[c];
      in = part;
    }
    ((sum_[r * vectors + v] = hn::LoadU(D(), in + v * lanes)), ...);
  }

  template <std::size_t... r>
  HWY_INLINE void store(const TileWork<T>& work, std::index_sequence<r...>) {
    (store_row<r>(work.out[r], work.columns, Vectors()), ...);
  }

  template <std::size_t r, std::size_t... v>
  HWY_INLINE void store_row(T* out, std::int64_t columns, std::index_sequence<v...>) {
    HWY_ALIGN T part[vectors * lanes];
    T* to = columns == vectors * lanes ? out : part;
    (hn::StoreU(sum_[r * vectors + v], D(), to + v * lanes), ...);
    if (to == part)
      for (std::int64_t c = 0; c < columns; ++c) out[c] = part[c];
  }

  V sum_[rows * vectors];
};

template <class T, std::size_t rows, std::size_t... v>
constexpr std::array<typename TileKernels<T>::Run, tile_vectors> tiles_of_rows(std::index_sequence<v...>) {
  return {&Tile<T, rows, v + 1>::run...};
}

template <class T, std::size_t... r>
constexpr TileKernels<T> tiles(std::index_sequence<r...>) {
  return {HWY_LANES(T), vectors_here, {tiles_of_rows<T, r + 1>(std::make_index_sequence<vectors_here>())...}};
}

}  // namespace costate::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
