// Matrices that lie in tensors: as factors of products (stage.h), and as their results.
#pragma once

#include "gpu/divisor.h"
#include "gpu/elementwise.h"

namespace costate::cuda {

/// Where the matrix of a problem starts; problems are numbered (outer, inner), such as (sample, head).
class Start {
 public:
  explicit Start(std::int64_t outer_step, std::int64_t inner_step = 0, std::int64_t inner = 1)
      : outer_step_(outer_step), inner_step_(inner_step), inner_(inner), by_inner_(inner) {}
  __device__ std::int64_t of(int problem) const {
    const std::int64_t outer = by_inner_.quotient(problem);
    return outer * outer_step_ + (problem - outer * inner_) * inner_step_;
  }
  [[nodiscard]] bool divides_by(std::int64_t width) const {
    return outer_step_ % width == 0 && inner_step_ % width == 0;
  }
  struct Steps {
    std::int64_t outer, inner, inner_count;
  };
  [[nodiscard]] Steps steps() const { return {outer_step_, inner_step_, inner_}; }

 private:
  std::int64_t outer_step_, inner_step_, inner_;
  Divisor by_inner_;
};

/// A factor whose rows lie `line` apart, or whose terms do, if not along_k.
template <class T, bool along>
struct Matrix {
  static constexpr bool along_k = along;
  const T* data;
  Start start;
  std::int64_t line;
  __device__ const T* row(int problem, int r) const { return data + start.of(problem) + (along_k ? r * line : r); }
  __device__ std::int64_t term(int k) const { return along_k ? k : k * line; }
  __device__ const T* at(const T* row, std::int64_t term) const { return row + term; }
};

/// What is added to the rows of a result: nothing, one row, or one for each stretch of `rows`; each problem's from its start on.
template <class T>
struct Bias {
  const T* data = nullptr;
  std::int64_t step = 0;  ///< from one stretch's row to the next one's
  Divisor rows{1};
  Start start{0};

  /// Of a bias (c) or (n, c) for results of n times `stretch` rows; undefined: nothing.
  static Bias of(const Tensor& bias, std::int64_t stretch, const Start& start) {
    if (!bias.defined()) return {};
    return {bias.device_data<T>(), bias.rank() == 2 ? bias.dim(1) : 0, Divisor(stretch), start};
  }
  __device__ const T* at(int problem, int m, int n) const {
    return data + start.of(problem) + rows.quotient(m) * step + n;
  }
};

/// A result, rows `line` apart.
template <class T>
struct Output {
  T* data;
  Start start;
  std::int64_t line;
  Bias<T> bias = {};
  const T* addend = nullptr;        ///< laid out as `data`, but for
  std::int64_t addend_line = line;  ///< from one of its rows to the next one; 0: the same for all
  __device__ T* at(int problem, int m, int n) const { return data + start.of(problem) + m * line + n; }
};

/// Whether no 16 bytes from a multiple of their own size on cross the edge of a line.
template <class M>
bool in_words(const M& m) {
  constexpr std::int64_t width = 16 / sizeof(*m.data);
  return m.start.divides_by(width) && m.line % width == 0 && aligned_16(m.data);
}

}  // namespace costate::cuda
