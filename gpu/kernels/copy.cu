// Strided copies and conversions.
#include "core/kernels/copy.h"

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
    else
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
