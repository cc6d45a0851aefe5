// Factors of products (gpu/stage.h says what those are) whose tiles are copied as boxes of tensors: matrices, and a convolution's
// patches and weights.
//
// Terms are counted in steps of a line, 64 in bf16 and 32 in TF32. A convolution's go tap by tap, each tap's channels filled up to
// whole steps with zeros.
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
};

/// Brings a tile's rows [row, row + lines of the map), or 64 where they lie across, step by step from `step` on.
template <bool along_k>
class Feed {
 public:
  Feed() = default;
  __device__ Feed(const Boxes& boxes, int problem, int row, int step)
      : b_(&boxes), row_(row), place_(step * boxes.terms) {
    outer_ = b_->by_inner.quotient(problem);
    inner_ = b_->inner_moves ? problem - outer_ * b_->inner : 0;
    if (!b_->outer_moves) outer_ = 0;
    const int unit = b_->patches && !along_k ? row / 64 : step;  // which channels of which tap
    tap_ = b_->by_chunks.quotient(unit), chunk_ = unit - tap_ * b_->chunks;
    down_ = b_->by_width.quotient(tap_), right_ = tap_ - down_ * b_->width;
    if (b_->patches && along_k) stand_at(row);
  }

  /// Starts copying, and moves on.
  __device__ void bring(void* to, Arrival* arrival) {
    const int term = chunk_ * b_->terms;
    if (!b_->patches) {
      const int third = inner_ + (b_->last_tap < 0 ? tap_ : b_->last_tap - tap_);
      copy_box(to, b_->map, along_k ? term : row_, along_k ? row_ : term, third, outer_, arrival);
      next_chunk();
      return;
    }
    if constexpr (!along_k) stand_at(place_), place_ += b_->terms;
    copy_patches(to, b_->map, term, column_, line_, image_, right_ * b_->dilation_column, down_ * b_->dilation_row,
                 arrival);
    if constexpr (along_k) next_chunk();
  }

 private:
  __device__ void next_chunk() {
    if (++chunk_ < b_->chunks) return;
    chunk_ = 0, ++tap_;
    if (++right_ == b_->width) right_ = 0, ++down_;
  }
  __device__ void stand_at(int place) {
    image_ = b_->by_outputs.quotient(place);
    const int inside = place - image_ * b_->outputs, i = b_->by_line.quotient(inside);
    line_ = b_->first_row + i * b_->step_row;
    column_ = b_->first_column + (inside - i * b_->line) * b_->step_column;
  }

  const Boxes* b_ = nullptr;
  int row_ = 0, place_ = 0, outer_ = 0, inner_ = 0, tap_ = 0, chunk_ = 0, down_ = 0, right_ = 0, image_ = 0, line_ = 0,
      column_ = 0;
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
