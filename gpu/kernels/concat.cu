// Lines of several tensors joined, in one launch.
#include "core/kernels/concat.h"

#include <algorithm>
#include <limits>

#include "gpu/divisor.h"
#include "gpu/elementwise.h"

namespace costate::cuda {
namespace {

constexpr std::size_t most = 4;  // parts of a launch

/// Parts of a line, in words; those that are not there begin where no line comes to.
template <class Word>
struct Parts {
  const Word* from[most] = {};
  std::int64_t step[most] = {};
  std::int64_t first[most];
};

template <class Word>
__global__ void concat_kernel(Parts<Word> parts, std::int64_t lines, std::int64_t width, Divisor by_width, Word* to,
                              std::int64_t pitch) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x, count = lines * width;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    const std::int64_t line = count < std::int64_t{1} << 31 ? by_width.quotient(static_cast<int>(i)) : i / width,
                       column = i - line * width;
    const Word* from = parts.from[0] + line * parts.step[0] + column;
#pragma unroll
    for (std::size_t p = 1; p < most; ++p)
      if (column >= parts.first[p]) from = parts.from[p] + line * parts.step[p] + (column - parts.first[p]);
    to[line * pitch + column] = *from;
  }
}

/// What there is of each part, in elements of T.
template <class T>
struct Source {
  Lines<T> lines;
  std::int64_t run;
};

/// Up to `most` of them to lines of y, n elements at a time.
template <class Word, class T>
void join(const Source<T>* first, const Source<T>* last, std::int64_t n, std::int64_t lines, T* to,
          std::int64_t pitch) {
  Parts<Word> parts;
  std::fill(std::begin(parts.first), std::end(parts.first), std::numeric_limits<std::int64_t>::max());
  std::int64_t width = 0;
  for (std::size_t i = 0; first + i < last; ++i) {
    parts.from[i] = reinterpret_cast<const Word*>(first[i].lines.data);
    parts.step[i] = first[i].lines.step / n;
    parts.first[i] = width;
    width += first[i].run / n;
  }
  launch("concat", blocks_for(lines * width), dim3(256), concat_kernel<Word>, parts, lines, width,
         Divisor(std::min<std::int64_t>(width, std::numeric_limits<int>::max())), reinterpret_cast<Word*>(to),
         pitch / n);
}

}  // namespace

void concat(const Tensors& all, std::int64_t lines, Tensor& y) {
  if (y.size() == 0) return;
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    constexpr std::int64_t n = 16 / sizeof(T);
    const std::int64_t pitch = y.size() / lines;
    T* to = y.mutable_device_data<T>();
    std::vector<Source<T>> parts;
    bool words = aligned_16(to);
    for (const Tensor& t : all) {
      const std::int64_t run = t.size() / lines;
      if (run == 0) continue;
      parts.push_back({t.device_lines<T>(run), run});
      words = words && aligned_16(parts.back().lines.data) && parts.back().lines.step % n == 0 && run % n == 0;
    }
    const Source<T>*at = parts.data(), *const end = at + parts.size();
    while (at < end) {
      const Source<T>* const next = at + std::min<std::ptrdiff_t>(most, end - at);
      if (words)
        join<Pack<std::uint32_t, 4>>(at, next, n, lines, to, pitch);
      else
        join<T>(at, next, 1, lines, to, pitch);
      for (; at < next; ++at) to += at->run;
    }
  });
}

}  // namespace costate::cuda
