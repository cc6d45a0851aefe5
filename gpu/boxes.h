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
  int chunks = 1, last_tap = -1;  ///< steps of a tap; taps count down from the last one, or up if it is -1
  Divisor by_chunks{1}, by_inner{1};
  int inner = 1;                                  ///< problems are (outer, inner), as Start says
  bool inner_moves = false, outer_moves = false;  ///< or all problems share the matrix

  bool patches = false;                  ///< of a convolution; what follows is theirs
  int outputs = 1, line = 1, width = 1;  ///< places of a picture, of its line; taps of a line of taps
  Divisor by_outputs{1}, by_line{1}, by_width{1};
  int first_row = 0, first_column = 0, step_row = 1, step_column = 1, dilation_row = 1, dilation_column = 1;
};

/// Brings so many rows of a factor in type M from `row` on, step by step from `step` on: as one box, or, where rows lie across, as one for
/// each line of them, one after the other.
template <class M, bool along_k, int rows>
class Feed {
  static constexpr int line = line_terms<M>, lines = along_k ? rows : line, boxes = (rows + lines - 1) / lines;

 public:
  static constexpr int bytes = boxes * lines * 128;  ///< of a step

  __device__ Feed(const Boxes& b, int problem, int row, int end, int step)
      : b_(&b), outer_(b.by_inner.quotient(problem)), at_(place_of(step)), place_(step * line) {
    inner_ = b.inner_moves ? problem - outer_ * b.inner : 0;
    if (!b.outer_moves) outer_ = 0;
    if (b.patches && along_k) stand_at(row);
#pragma unroll
    for (int i = 0; i < boxes; ++i) {
      row_[i] = row + i * lines < end ? row + i * lines : row;  // for rows that are not there, some others
      if (b.patches && !along_k) of_row_[i] = place_of(row_[i] / line);
    }
  }

  /// Starts copying, and moves on.
  __device__ void bring(unsigned char* to, Arrival* arrival) {
    if (along_k || !b_->patches) {
#pragma unroll
      for (int i = 0; i < boxes; ++i) copy(to + i * lines * 128, row_[i], arrival);
      next_chunk();
    } else {
      stand_at(place_);
      place_ += line;
#pragma unroll
      for (int i = 0; i < boxes; ++i) copy_patch(to + i * lines * 128, of_row_[i], arrival);
    }
  }

 private:
  /// A chunk of a tap's channels; the tap is so far from the first one.
  struct Place {
    int chunk, tap, down, right;
  };
  [[nodiscard]] __device__ Place place_of(int chunk) const {
    const int tap = b_->by_chunks.quotient(chunk), down = b_->by_width.quotient(tap);
    return {chunk - tap * b_->chunks, tap, down, tap - down * b_->width};
  }
  __device__ void next_chunk() {
    if (++at_.chunk < b_->chunks) return;
    at_.chunk = 0, ++at_.tap;
    if (++at_.right == b_->width) at_.right = 0, ++at_.down;
  }
  __device__ void stand_at(int output) {
    image_ = b_->by_outputs.quotient(output);
    const int inside = output - image_ * b_->outputs, i = b_->by_line.quotient(inside);
    line_ = b_->first_row + i * b_->step_row;
    column_ = b_->first_column + (inside - i * b_->line) * b_->step_column;
  }
  __device__ void copy(void* to, int row, Arrival* arrival) const {
    if (b_->patches) return copy_patch(to, at_, arrival);
    const int third = inner_ + (b_->last_tap < 0 ? at_.tap : b_->last_tap - at_.tap), term = at_.chunk * line;
    copy_box(to, b_->map, along_k ? term : row, along_k ? row : term, third, outer_, arrival);
  }
  __device__ void copy_patch(void* to, const Place& p, Arrival* arrival) const {
    copy_patches(to, b_->map, p.chunk * line, column_, line_, image_, p.right * b_->dilation_column,
                 p.down * b_->dilation_row, arrival);
  }

  const Boxes* b_;
  int outer_, inner_ = 0, row_[boxes] = {};
  Place at_, of_row_[boxes] = {};
  int place_, image_ = 0, line_ = 0, column_ = 0;
};

/// Steps that `terms` take.
template <class M>
std::int64_t steps_of(std::int64_t terms) {
  return (terms + line_terms<M> - 1) / line_terms<M>;
}

/// Of a matrix of `rows` rows and k terms, for tiles of `lines` rows.
template <class M, bool along_k>
Boxes boxes_of(const char* op, const Matrix<Stored<M>, along_k>& m, std::int64_t rows, std::int64_t k,
               std::int64_t problems, int lines) {
  Boxes b;
  const auto [outer_step, inner_step, inner] = m.start.steps();
  // Where there is one problem, or all share the matrix, some step that is not taken.
  constexpr std::int64_t some = 16 / static_cast<std::int64_t>(sizeof(Stored<M>));
  b.inner = static_cast<int>(inner);
  b.by_inner = Divisor(inner);
  b.inner_moves = inner_step > 0 && inner > 1;
  b.outer_moves = outer_step > 0 && problems > inner;
  b.chunks = static_cast<int>(steps_of<M>(k));
  b.by_chunks = Divisor(b.chunks);
  b.map = boxes_of(
      op, box_type<M>, m.data,
      {{along_k ? k : rows, along_k ? rows : k, b.inner_moves ? inner : 1, b.outer_moves ? problems / inner : 1},
       {std::max(m.line, some), b.inner_moves ? inner_step : some, b.outer_moves ? outer_step : some}},
      along_k ? lines : line_terms<M>);
  return b;
}

}  // namespace costate::cuda
