// Factors of products (gpu/stage.h says what those are) whose tiles are copied as boxes of tensors: matrices, and a convolution's
// patches and weights.
//
// Terms are counted in steps of a line, 64 in bf16 and 32 in TF32. A convolution's go tap by tap, each tap's channels filled up to whole steps with zeros.
#pragma once

#include "gpu/divisor.h"
#include "gpu/matrix.h"
#include "gpu/ptx_sm90.h"
#include "gpu/tensor_map.h"
#include "gpu/tiles.h"

namespace costate::cuda {

/// Terms of a line in type M.
template <class M>
constexpr int line_terms = 128 / static_cast<int>(sizeof(Stored<M>));
template <class M>
constexpr BoxType box_type = std::is_same_v<M, bf16> ? BoxType::bf16 : BoxType::tf32;

/// Where the boxes of a factor's tiles are.
struct Boxes {
  TensorMap map;
  int terms = 64;                 ///< of a step
  int chunks = 1, last_tap = -1;  ///< steps of a tap; taps count down from the last one, or up if it is -1
  Divisor by_chunks{1}, by_inner{1};
  int inner = 1;                                  ///< problems are (outer, inner), as Start says
  bool inner_moves = false, outer_moves = false;  ///< or all problems share the matrix

  bool patches = false;                  ///< of a convolution; what follows is theirs
  int outputs = 1, line = 1, width = 1;  ///< places of a picture, of its line; taps of a line of taps
  Divisor by_outputs{1}, by_line{1}, by_width{1};
  int first_row = 0, first_column = 0, step_row = 1, step_column = 1, dilation_row = 1, dilation_column = 1;

  /// Starts copying a tile's rows [row, row + lines of the map), or 64 where they lie across, of one step's terms.
  template <bool along_k>
  __device__ void bring(void* to, int problem, int row, int step, Arrival* arrival) const {
    if (patches) return bring_patches<along_k>(to, row, step, arrival);
    const int tap = by_chunks.quotient(step), term = (step - tap * chunks) * terms, outer = by_inner.quotient(problem);
    const int third = (inner_moves ? problem - outer * inner : 0) + (last_tap < 0 ? tap : last_tap - tap),
              fourth = outer_moves ? outer : 0;
    copy_box(to, map, along_k ? term : row, along_k ? row : term, third, fourth, arrival);
  }

 private:
  template <bool along_k>
  __device__ void bring_patches(void* to, int row, int step, Arrival* arrival) const {
    const int unit = along_k ? step : row / 64, place = along_k ? row : step * 64;
    const int tap = by_chunks.quotient(unit), down = by_width.quotient(tap), image = by_outputs.quotient(place);
    const int inside = place - image * outputs, i = by_line.quotient(inside), j = inside - i * line;
    copy_patches(to, map, (unit - tap * chunks) * terms, first_column + j * step_column, first_row + i * step_row,
                 image, (tap - down * width) * dilation_column, down * dilation_row, arrival);
  }
};

/// Steps that `terms` take.
template <class M>
std::int64_t steps_of(std::int64_t terms) {
  return (terms + line_terms<M> - 1) / line_terms<M>;
}

/// Of a matrix of `rows` rows and k terms, for tiles of `lines` rows.
template <bool along_k>
Boxes boxes_of(const char* op, const Matrix<bf16, along_k>& m, std::int64_t rows, std::int64_t k, std::int64_t problems,
               int lines) {
  Boxes b;
  const auto [outer_step, inner_step, inner] = m.start.steps();
  constexpr std::int64_t some = 8;  // where there is one problem, or all share the matrix, a step is not taken
  b.inner = static_cast<int>(inner);
  b.by_inner = Divisor(inner);
  b.inner_moves = inner_step > 0 && inner > 1;
  b.outer_moves = outer_step > 0 && problems > inner;
  b.chunks = static_cast<int>(steps_of<bf16>(k));
  b.by_chunks = Divisor(b.chunks);
  b.map = boxes_of(
      op, BoxType::bf16, m.data,
      {{along_k ? k : rows, along_k ? rows : k, b.inner_moves ? inner : 1, b.outer_moves ? problems / inner : 1},
       {std::max(m.line, some), b.inner_moves ? inner_step : some, b.outer_moves ? outer_step : some}},
      along_k ? lines : 64);
  return b;
}

}  // namespace costate::cuda
