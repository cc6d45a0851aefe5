// The register tile under every convolution and matrix product, and the packings it reads.
//
// All of them are sums  out[r][c] += sum_k a[r][k] b[k][c]  over tiles of up to 6 rows (pixels, matrix rows, input
// channels) by a few vectors of columns (output channels). Each element is one chain of fused multiply-adds in the
// order of k, with one accumulator, in every instruction set's tile of every size; so how work is cut into tiles never
// shows in the bits.
//
// Tiles of bf16 sum in f32 and take two elements of k a step: a pair of a is broadcast as one lane, panels of b lie in pairs
// [k / 2][column][2]. Of each pair the second product is added first; numbers below the normal ones of f32 count as zero. Such
// sums cannot wait in out, which is bf16. Tiles of i16 go by pairs as well and sum in i32, exactly.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/dtype.h"
#include "core/memory.h"

namespace costate::cpu {

inline constexpr std::int64_t tile_rows = 6;
inline constexpr std::int64_t tile_vectors = 4;  ///< where there are 32 registers; 2 vectors otherwise

/// Elements of the reduction that one step takes.
template <class T>
inline constexpr std::int64_t tile_depth = sizeof(T) == 2 ? 2 : 1;

/// What a tile of T writes, where nothing else is asked for; tiles of bf16 can also write their sums, in f32.
template <class T>
using TileOut = std::conditional_t<std::is_same_v<T, std::int16_t>, std::int32_t, T>;

/// Steps of a reduction; of an odd one the last finds half of its pair zero, in the panel and in place of what lies behind a's end.
template <class T>
constexpr std::int64_t tile_steps(std::int64_t length) {
  return (length + tile_depth<T> - 1) / tile_depth<T>;
}

/// A stretch of `length` elements of the reduction: those of row r for step k start at a[r] + k * a_step, the columns at b + k * b_step.
template <class T>
struct Segment {
  std::array<const T*, tile_rows> a;
  const T* b;
  std::int64_t length;
};

/// Memory that is wanted soon, called for while sums run: `step` bytes further on with each step of a reduction. It need not exist.
struct Ahead {
  const void* from = nullptr;
  std::int64_t step = 0;

  /// `bytes` from there on, over so many steps.
  static Ahead of(const void* from, std::int64_t bytes, std::int64_t steps) {
    steps = std::max<std::int64_t>(steps, 1);
    return {from, (bytes + steps - 1) / steps};
  }
  [[nodiscard]] Ahead after(std::int64_t steps) const { return {static_cast<const char*>(from) + steps * step, step}; }
};

/// What one tile computes: segments in order, then `columns` results per row.
template <class T, class Out = TileOut<T>>
struct TileWork {
  const Segment<T>* segments;
  std::int64_t count;
  std::int64_t a_step, b_step;
  std::array<Out*, tile_rows> out;
  std::int64_t columns;
  bool accumulate;                                ///< continue the chains that out holds (not bf16),
  const Out* bias = nullptr;                      ///< instead of starting each row from `columns` values, or from zero
  std::array<const Out*, tile_rows> addend = {};  ///< values for the end of each row's chains, or all null
  Ahead ahead = {};
};

/// Rows of a matrix times one block of columns, tile after tile:
/// out[r * out_row + c] (+)= sum_k a[r * a_row + k * a_step] b[k * b_step + c]; steps as in Segment.
template <class T, class Out = TileOut<T>>
struct RowsWork {
  const T* a;
  std::int64_t a_row, a_step;
  const T* b;
  std::int64_t b_step, length;
  Out* out;
  std::int64_t out_row, rows, columns;
  bool accumulate = false;  ///< as in TileWork
  const Out* bias = nullptr;
  const Out* addend = nullptr;  ///< rows out_row apart
  Ahead ahead = {};             ///< by the first tile; the others go on from there
};

/// The tiles of one instruction set.
template <class T, class Out = TileOut<T>>
struct TileKernels {
  std::int64_t lanes, vectors;
  /// One tile: run[rows - 1][vectors - 1].
  std::array<std::array<void (*)(const TileWork<T, Out>&), tile_vectors>, tile_rows> run;
  /// Tiles in a regular layout, which cost less each where reductions are short: run_rows[vectors - 1].
  std::array<void (*)(const RowsWork<T, Out>&), tile_vectors> run_rows;
};

/// For the best instruction set this machine has. T is float, double, and where has_pairs() bf16 and std::int16_t.
template <class T, class Out = TileOut<T>>
const TileKernels<T, Out>& tile_kernels();

/// Whether products of bf16 run on tiles of pairs: this machine has AVX512_BF16 (and VNNI). Others, and tests after use_pairs(false), multiply copies in f32.
bool has_pairs();
void use_pairs(bool where_possible);

/// Up to lanes * vectors neighbouring columns, none of two groups: what one tile is wide.
struct ColumnBlock {
  std::int64_t first, count, group;
  std::int64_t vectors, width;  ///< width = vectors * lanes >= count
  std::int64_t offset;          ///< summed width of the blocks before
};

std::vector<ColumnBlock> column_blocks(std::int64_t groups, std::int64_t per_group, std::int64_t lanes,
                                       std::int64_t vectors);

template <class T>
std::vector<ColumnBlock> column_blocks(std::int64_t groups, std::int64_t per_group) {
  return column_blocks(groups, per_group, tile_kernels<T>().lanes, tile_kernels<T>().vectors);
}

inline std::int64_t padded_width(const std::vector<ColumnBlock>& blocks) {
  return blocks.empty() ? 0 : blocks.back().offset + blocks.back().width;
}

/// out[k * width + c] = in[k * k_step + c * c_step] for k < length, c < count; zero for count <= c < width. Pairs: at
/// (k / 2 * width + c) * 2 + k % 2, and zero behind an odd length.
template <class T>
void pack_panel(const T* in, std::int64_t k_step, std::int64_t c_step, std::int64_t length, std::int64_t count,
                std::int64_t width, T* out);

/// Names a derived layout (core/storage.h) and the numbers that it depends on; not to be read.
inline std::string layout_key(std::string_view kind, std::initializer_list<std::int64_t> numbers) {
  std::string key(kind);
  for (const std::int64_t n : numbers) key.append(reinterpret_cast<const char*>(&n), sizeof n);
  return key;
}

inline constexpr std::int64_t pack_cost = 32;  ///< packing an element takes about as long as this many flops

/// Elements of T on the heap, counted by the allocator; none take no memory.
template <class T>
class Scratch {
 public:
  explicit Scratch(std::int64_t count) {
    if (count > 0) block_ = Block(static_cast<std::size_t>(count) * sizeof(T), Device::cpu);
  }
  [[nodiscard]] T* data() { return static_cast<T*>(block_.data()); }
  [[nodiscard]] const T* data() const { return static_cast<const T*>(block_.data()); }

 private:
  Block block_;
};

/// Runs work(piece, first, last) over the tiles of every piece, in tasks of roughly equal size. `flops` is the work of
/// one tile; work too small to be worth a second thread stays in this one. The cut depends on the work only, and could
/// not show in the bits if it did not: every tile is computed alike.
void parallel_tiles(std::int64_t pieces, std::int64_t tiles, std::int64_t flops,
                    const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& work);

}  // namespace costate::cpu
