// How a block brings its tiles of two factors to shared memory, and what a factor is.
//
// A factor is a matrix that need not exist: `row(problem, r)` says once what all elements of a row share, `term(k)` what all of a
// column share, and `at(row, term)` is the element's address, or none where the element is zero. Neighbours in memory go along k if
// `along_k`, else along r. (The second factor's rows are the product's columns.)
#pragma once

#include <utility>

#include "gpu/elementwise.h"
#include "gpu/ptx.h"

namespace costate::cuda {

/// A block's tile of `rows` by `depth`, in shared memory as it lies in device memory: lines of neighbours, each followed by 16 bytes
/// against bank conflicts. A thread copies `chunk` elements at a time: 16 bytes, or 1 element where 16 bytes may cross an edge.
template <class T, class Factor, int rows, int depth, int chunk, int threads>
class Stage {
  static constexpr int line = Factor::along_k ? depth : rows, lines = Factor::along_k ? rows : depth;
  static constexpr int across = line / chunk, step = threads / across, loads = lines / step;
  static_assert(threads % across == 0 && lines % step == 0, "every thread copies as much as every other");

 public:
  static constexpr int pitch = line + 16 / static_cast<int>(sizeof(T)), size = lines * pitch;

  __device__ Stage(const Factor& factor, int problem, int first, int count) : factor_(factor) {
    if constexpr (Factor::along_k) {
      for (int i = 0; i < loads; ++i) take(i, problem, first + line_of(i), count);
    } else {
      take(0, problem, first + offset(), count);
    }
  }

  /// Starts copying terms [k, k + depth), zeros from `end` on.
  __device__ void load(T* tile, int k, int end) const {
    T* to = tile + line_of(0) * pitch + offset();
    if constexpr (Factor::along_k) {
      const bool inside = k + offset() < end;
      const auto term = factor_.term(inside ? k + offset() : 0);
      for (int i = 0; i < loads; ++i)
        copy(to + i * step * pitch, inside && inside_[i] ? factor_.at(row_[i], term) : nullptr);
    } else {
      for (int i = 0; i < loads; ++i) {
        const int at = k + line_of(i);
        copy(to + i * step * pitch, at < end && inside_[0] ? factor_.at(row_[0], factor_.term(at)) : nullptr);
      }
    }
  }

 private:
  static constexpr int rows_held = Factor::along_k ? loads : 1;

  __device__ static int offset() { return static_cast<int>(threadIdx.x) % across * chunk; }
  __device__ static int line_of(int i) { return static_cast<int>(threadIdx.x) / across + i * step; }

  __device__ void take(int i, int problem, int r, int count) {
    inside_[i] = r < count;
    row_[i] = factor_.row(problem, inside_[i] ? r : 0);
  }
  __device__ void copy(T* to, const T* from) const {
    if constexpr (chunk == 1)
      *to = from == nullptr ? T{} : *from;
    else
      copy_16(to, from == nullptr ? factor_.data : from, from != nullptr);
  }

  const Factor& factor_;
  decltype(std::declval<const Factor&>().row(0, 0)) row_[rows_held];
  bool inside_[rows_held];
};

}  // namespace costate::cuda
