// Strided copies and conversions.
#include "core/kernels/copy.h"

#include <algorithm>

#include "gpu/elementwise.h"
#include "gpu/loops.h"

namespace costate::cuda {
namespace {

/// A copy need not know what it moves, and moves words as large as the box allows.
template <class Word>
__global__ void copy_kernel(Loops<2> loops, const Word* from, Word* to) {
  kernel_begins();
  over_elements(loops, [&](std::int64_t, const std::int64_t(&at)[2]) { to[at[1]] = from[at[0]]; });
}

/// Whether the box can be moved in words of `n` elements: whole ones, as far apart.
bool has_words(const CopyBox& b, std::int64_t n) {
  const auto last = static_cast<std::size_t>(b.rank - 1);
  bool all =
      b.from_step[last] == 1 && b.to_step[last] == 1 && b.extent[last] % n == 0 && b.from % n == 0 && b.to % n == 0;
  for (std::size_t i = 0; i < last; ++i) all = all && b.from_step[i] % n == 0 && b.to_step[i] % n == 0;
  return all;
}

template <class Word>
void copy_words(const CopyBox& b, std::int64_t n, const void* from, void* to) {
  Loops<2> loops;
  for (std::size_t i = 0; i < static_cast<std::size_t>(b.rank); ++i) {
    if (static_cast<int>(i) + 1 == b.rank && n > 1)
      loops.push(b.extent[i] / n, {1, 1});
    else
      loops.push(b.extent[i], {b.from_step[i] / n, b.to_step[i] / n});
  }
  launch("copy", blocks_for(loops.count), dim3(256), copy_kernel<Word>, loops,
         static_cast<const Word*>(from) + b.from / n, static_cast<Word*>(to) + b.to / n);
}

/// Squares of a matrix that is turned: they go through shared memory, so that lines are read and written along memory.
constexpr int square = 32, lines_at_once = 8;

/// `across` neighbours in `from`, and `down` in `to`; from one line of them to the next.
struct Turn {
  std::int64_t across, down, from_line, to_line;
  [[nodiscard]] std::int64_t squares_across() const { return (across + square - 1) / square; }
  [[nodiscard]] std::int64_t squares_down() const { return (down + square - 1) / square; }
};

template <class T>
__global__ void __launch_bounds__(square* lines_at_once)
    turn_kernel(Loops<2> matrices, Turn t, int squares_across, const T* from, T* to) {
  kernel_begins();
  __shared__ T held[square][square + 1];
  const int lane = static_cast<int>(threadIdx.x) % square, line = static_cast<int>(threadIdx.x) / square;
  const int row = static_cast<int>(blockIdx.x) / squares_across;
  const std::int64_t a = std::int64_t{static_cast<int>(blockIdx.x) - row * squares_across} * square,
                     d = std::int64_t{row} * square;
  std::int64_t at[2] = {};
  matrices.find(blockIdx.y, at);
  T taken[square / lines_at_once];
#pragma unroll
  for (int i = 0; i < square; i += lines_at_once)
    taken[i / lines_at_once] =
        a + lane < t.across && d + line + i < t.down ? from[at[0] + (d + line + i) * t.from_line + a + lane] : T{};
#pragma unroll
  for (int i = 0; i < square; i += lines_at_once) held[line + i][lane] = taken[i / lines_at_once];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < square; i += lines_at_once)
    if (d + lane < t.down && a + line + i < t.across)
      to[at[1] + (a + line + i) * t.to_line + d + lane] = held[lane][line + i];
}

/// Where neighbours along one axis are neighbours in `from`, and those along another in `to`, and there are squares of them.
template <class T>
bool turns(const CopyBox& b, const T* from, T* to) {
  const auto axis_of_ones = [&](const auto& step) {
    const auto end = step.begin() + b.rank;
    return static_cast<std::size_t>(std::find(step.begin(), end, 1) - step.begin());
  };
  const std::size_t across = axis_of_ones(b.from_step), down = axis_of_ones(b.to_step),
                    rank = static_cast<std::size_t>(b.rank);
  if (across == rank || down == rank || across == down) return false;
  const Turn t{b.extent[across], b.extent[down], b.from_step[down], b.to_step[across]};
  Loops<2> matrices;
  for (std::size_t i = 0; i < rank; ++i)
    if (i != across && i != down) matrices.push(b.extent[i], {b.from_step[i], b.to_step[i]});
  const std::int64_t squares = t.squares_across() * t.squares_down();
  if (std::min(t.across, t.down) < square / 2 || squares >= std::int64_t{1} << 31 || matrices.count > 65535)
    return false;
  launch("copy", dim3(static_cast<unsigned>(squares), static_cast<unsigned>(matrices.count)),
         dim3(square * lines_at_once), turn_kernel<T>, matrices, t, static_cast<int>(t.squares_across()), from + b.from,
         to + b.to);
  return true;
}

template <class F, class T>
__global__ void cast_kernel(std::int64_t count, const F* from, T* to) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride)
    to[i] = narrow<T>(widen(from[i]));
}

}  // namespace

void copy(const CopyBox& box, const Tensor& from, Tensor& to) {
  const CopyBox b = merged(box);
  std::int64_t count = 1;
  for (int axis = 0; axis < b.rank; ++axis) count *= b.extent[static_cast<std::size_t>(axis)];
  if (count == 0) return;
  visit_dtype(from.dtype(), [&](auto tag) {
    using T = decltype(tag);
    constexpr std::int64_t n = 16 / sizeof(T);
    const T* source = from.device_data<T>();
    T* target = to.mutable_device_data<T>();
    if (has_words(b, n) && aligned_16(source) && aligned_16(target))
      copy_words<Pack<std::uint32_t, 4>>(b, n, source, target);
    else if (!turns(b, source, target))
      copy_words<T>(b, 1, source, target);
  });
}

void cast(const Tensor& from, Tensor& to) {
  if (from.size() == 0) return;
  visit_dtype(from.dtype(), [&](auto from_tag) {
    visit_dtype(to.dtype(), [&](auto to_tag) {
      using F = decltype(from_tag);
      using T = decltype(to_tag);
      launch("cast", blocks_for(from.size()), dim3(256), cast_kernel<F, T>, from.size(), from.device_data<F>(),
             to.mutable_device_data<T>());
    });
  });
}

}  // namespace costate::cuda
