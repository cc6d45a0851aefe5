// The register tile, compiled once per instruction set (Highway's foreach_target includes this file again and again).
#if defined(COSTATE_CORE_KERNELS_MICRO_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef COSTATE_CORE_KERNELS_MICRO_INL_H
#undef COSTATE_CORE_KERNELS_MICRO_INL_H
#else
#define COSTATE_CORE_KERNELS_MICRO_INL_H
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstring>
#include <utility>

#include "core/kernels/micro.h"
#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using costate::HWY_NAMESPACE::load_as;
using costate::HWY_NAMESPACE::store_as;

// 6 x 4 sums, 4 columns and a broadcast fill 32 registers; 6 x 2 sums, 2 columns and a broadcast fill 16.
inline constexpr std::int64_t vectors_here =
    HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON ? 4 : 2;

/// What a tile does with its numbers: a vector of sums, of columns, and of one row's element everywhere.
template <class T>
struct Numbers {
  using D = hn::ScalableTag<T>;
  using Sum = hn::Vec<D>;
  using Factor = hn::Vec<D>;
  static constexpr std::int64_t lanes = HWY_LANES(T);

  static HWY_INLINE Factor everywhere(const T* a) { return hn::Set(D(), *a); }
  static HWY_INLINE Factor column(const T* b) { return hn::LoadU(D(), b); }
  static HWY_INLINE Sum add_product(Sum sum, Factor a, Factor b) { return hn::MulAdd(a, b, sum); }
};

#if HWY_TARGET == HWY_AVX3
/// Factors of tiles that go by pairs, as lanes of 32 bits. Their instructions are written out: AVX512_BF16 and VNNI are no targets of
/// Highway's by themselves.
template <class T>
struct PairFactors {
  using Pairs = hn::RebindToUnsigned<hn::ScalableTag<float>>;
  using Factor = hn::Vec<Pairs>;
  static constexpr std::int64_t lanes = HWY_LANES(float);

  static HWY_INLINE Factor everywhere(const T* a) {
    std::uint32_t pair;
    std::memcpy(&pair, a, sizeof pair);
    return hn::Set(Pairs(), pair);
  }
  static HWY_INLINE Factor last_everywhere(const T* a) {
    std::uint16_t one;
    std::memcpy(&one, a, sizeof one);
    return hn::Set(Pairs(), one);
  }
  static HWY_INLINE Factor column(const T* b) { return hn::LoadU(Pairs(), reinterpret_cast<const std::uint32_t*>(b)); }
};

template <>
struct Numbers<bf16> : PairFactors<bf16> {
  using D = hn::ScalableTag<float>;
  using Sum = hn::Vec<D>;

  static HWY_INLINE Sum add_product(Sum sum, Factor a, Factor b) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
};

template <>
struct Numbers<std::int16_t> : PairFactors<std::int16_t> {
  using D = hn::ScalableTag<std::int32_t>;
  using Sum = hn::Vec<D>;

  static HWY_INLINE Sum add_product(Sum sum, Factor a, Factor b) {
    asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
};
#endif

// Every index below is a template argument: g++ 12 keeps sums in memory when it has to unroll such loops by itself.
template <class T, class Out, std::size_t rows, std::size_t vectors>
class Tile {
  using N = Numbers<T>;
  using V = typename N::Sum;
  using Factor = typename N::Factor;
  using Vectors = std::make_index_sequence<vectors>;
  using Rows = std::make_index_sequence<rows>;
  static constexpr std::size_t lanes = N::lanes;

 public:
  static void run(const TileWork<T, Out>& work) {
    Tile tile;
    tile.start(work.out.data(), work.columns, work.accumulate, work.bias);
    Ahead ahead = work.ahead;
    for (std::int64_t s = 0; s < work.count; ++s) {
      const auto& segment = work.segments[s];
      tile.add(segment.a.data(), work.a_step, segment.b, work.b_step, segment.length, ahead);
      ahead = ahead.after(tile_steps<T>(segment.length));
    }
    if (work.addend[0] != nullptr) tile.template load<true>(work.addend.data(), work.columns, Rows());
    tile.store(work.out.data(), work.columns, Rows());
  }

  /// Rows from `first` on; those that do not fill a tile go to smaller ones.
  static void run_rows(const RowsWork<T, Out>& work, std::int64_t first, Ahead ahead) {
    for (; first + static_cast<std::int64_t>(rows) <= work.rows; first += rows) {
      const T* a[rows];
      Out* out[rows];
      row_pointers(work.a + first * work.a_row, work.a_row, a, Rows());
      row_pointers(work.out + first * work.out_row, work.out_row, out, Rows());
      Tile tile;
      tile.start(out, work.columns, work.accumulate, work.bias);
      tile.add(a, work.a_step, work.b, work.b_step, work.length, ahead);
      ahead = ahead.after(tile_steps<T>(work.length));
      if (work.addend != nullptr) {
        const Out* addend[rows];
        row_pointers(work.addend + first * work.out_row, work.out_row, addend, Rows());
        tile.template load<true>(addend, work.columns, Rows());
      }
      tile.store(out, work.columns, Rows());
    }
    if constexpr (rows > 1)
      if (first < work.rows) Tile<T, Out, rows - 1, vectors>::run_rows(work, first, ahead);
  }

 private:
  template <class P, std::size_t... r>
  static HWY_INLINE void row_pointers(P* first, std::int64_t step, P** at, std::index_sequence<r...>) {
    ((at[r] = first + static_cast<std::int64_t>(r) * step), ...);
  }

  HWY_INLINE void start(Out* const* out, std::int64_t columns, bool accumulate, const Out* bias) {
    if (accumulate)
      load<false>(out, columns, Rows());
    else if (bias != nullptr)
      load_bias(bias, columns, Rows());
    else
      zero(std::make_index_sequence<rows * vectors>());
  }

  template <std::size_t... i>
  HWY_INLINE void zero(std::index_sequence<i...>) {
    ((sum_[i] = hn::Zero(typename N::D())), ...);
  }

  HWY_INLINE void add(const T* const* a, std::int64_t a_step, const T* b, std::int64_t b_step, std::int64_t length,
                      const Ahead& ahead) {
    const std::int64_t end = length / tile_depth<T> * a_step;
    const char* soon = ahead.step == 0 ? reinterpret_cast<const char*>(b) : static_cast<const char*>(ahead.from);
    for (std::int64_t k = 0; k != end; k += a_step, b += b_step, soon += ahead.step) {
      hwy::Prefetch(soon);
      add_step<&N::everywhere>(a, k, b, Rows(), Vectors());
    }
    if constexpr (tile_depth<T> == 2)
      if (length % 2 != 0) add_step<&N::last_everywhere>(a, end, b, Rows(), Vectors());
  }

  template <auto everywhere, std::size_t... r, std::size_t... v>
  HWY_INLINE void add_step(const T* const* a, std::int64_t k, const T* b, std::index_sequence<r...>,
                           std::index_sequence<v...>) {
    const Factor column[vectors] = {N::column(b + v * lanes * tile_depth<T>)...};
    (add_row<r>(everywhere(a[r] + k), column, Vectors()), ...);
  }

  template <std::size_t r, std::size_t... v>
  HWY_INLINE void add_row(Factor a, const Factor* column, std::index_sequence<v...>) {
    ((sum_[r * vectors + v] = N::add_product(sum_[r * vectors + v], a, column[v])), ...);
  }

  /// Sums become what the rows hold, or that much more.
  template <bool more, class P, std::size_t... r>
  HWY_INLINE void load(P* const* rows_at, std::int64_t columns, std::index_sequence<r...>) {
    (load_row<r, more>(rows_at[r], columns, Vectors()), ...);
  }
  template <std::size_t... r>
  HWY_INLINE void load_bias(const Out* bias, std::int64_t columns, std::index_sequence<r...>) {
    (load_row<r, false>(bias, columns, Vectors()), ...);
  }

  template <std::size_t r, bool more, std::size_t... v>
  HWY_INLINE void load_row(const Out* in, std::int64_t columns, std::index_sequence<v...>) {
    if constexpr (more)
      ((sum_[r * vectors + v] =
            hn::Add(sum_[r * vectors + v], load_as(typename N::D(), in + v * lanes, left<v>(columns)))),
       ...);
    else
      ((sum_[r * vectors + v] = load_as(typename N::D(), in + v * lanes, left<v>(columns))), ...);
  }

  template <std::size_t... r>
  HWY_INLINE void store(Out* const* out, std::int64_t columns, std::index_sequence<r...>) {
    (store_row<r>(out[r], columns, Vectors()), ...);
  }

  template <std::size_t r, std::size_t... v>
  HWY_INLINE void store_row(Out* out, std::int64_t columns, std::index_sequence<v...>) {
    (store_as(sum_[r * vectors + v], typename N::D(), out + v * lanes, left<v>(columns)), ...);
  }

  /// Columns from vector v on.
  template <std::size_t v>
  static std::size_t left(std::int64_t columns) {
    return static_cast<std::size_t>(columns) - v * lanes;
  }

  V sum_[rows * vectors];
};

template <class T, class Out, std::size_t rows, std::size_t... v>
constexpr std::array<void (*)(const TileWork<T, Out>&), tile_vectors> tiles_of_rows(std::index_sequence<v...>) {
  return {&Tile<T, Out, rows, v + 1>::run...};
}

template <class T, class Out, std::size_t vectors>
void all_rows(const RowsWork<T, Out>& work) {
  Tile<T, Out, tile_rows, vectors>::run_rows(work, 0, work.ahead);
}

template <class T, class Out, std::size_t... r, std::size_t... v>
constexpr TileKernels<T, Out> tiles(std::index_sequence<r...>, std::index_sequence<v...> each) {
  return {Numbers<T>::lanes, vectors_here, {tiles_of_rows<T, Out, r + 1>(each)...}, {&all_rows<T, Out, v + 1>...}};
}

}  // namespace costate::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
