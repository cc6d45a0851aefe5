// Nested loops over elements that lie at steps of their own in each operand: where the i-th of them is.
#pragma once

#include <array>
#include <cstdint>

#include "core/shape.h"
#include "gpu/divisor.h"

namespace costate::cuda {

template <int operands>
struct Loops {
  int rank = 0;
  std::int64_t count = 1;
  std::int64_t extent[Shape::max_rank] = {}, step[operands][Shape::max_rank] = {};
  Divisor by[Shape::max_rank] = {};

  /// One more loop inside the others; one with the last where each operand goes on as if they were one.
  void push(std::int64_t n, const std::array<std::int64_t, operands>& steps) {
    bool joins = rank > 0;
    for (int o = 0; o < operands && joins; ++o) joins = step[o][rank - 1] == steps[static_cast<std::size_t>(o)] * n;
    if (!joins) extent[rank++] = 1;
    extent[rank - 1] *= n;
    for (int o = 0; o < operands; ++o) step[o][rank - 1] = steps[static_cast<std::size_t>(o)];
    by[rank - 1] = Divisor(n > 0 && extent[rank - 1] < most ? extent[rank - 1] : 1);
    count *= n;
  }

  /// Adds to `at` where each operand has the i-th.
  __device__ void find(std::int64_t i, std::int64_t (&at)[operands]) const {
    if (count < most)
      walk(static_cast<int>(i), at, [](int k, int, const Divisor& d) { return d.quotient(k); });
    else
      walk(i, at, [](std::int64_t k, std::int64_t n, const Divisor&) { return k / n; });
  }

 private:
  static constexpr std::int64_t most = std::int64_t{1} << 31;  // what a Divisor divides is below it

  template <class Index, class Quotient>
  __device__ void walk(Index i, std::int64_t (&at)[operands], const Quotient& quotient) const {
    for (int axis = rank - 1; axis >= 0; --axis) {
      const Index n = static_cast<Index>(extent[axis]), outer = axis > 0 ? quotient(i, n, by[axis]) : 0,
                  k = i - outer * n;
      for (int o = 0; o < operands; ++o) at[o] += k * step[o][axis];
      i = outer;
    }
  }
};

/// f(i, at) for this thread's elements, by striding: the i-th, and where each operand has it.
template <int operands, class F>
__device__ void over_elements(const Loops<operands>& loops, const F& f) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < loops.count; i += stride) {
    std::int64_t at[operands] = {};
    loops.find(i, at);
    f(i, at);
  }
}

}  // namespace costate::cuda
