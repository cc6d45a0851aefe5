// Lines of several tensors joined, on the CPU.
#include "core/kernels/concat.h"

#include <algorithm>
#include <cstring>

#include "core/parallel.h"

namespace costate {

void cpu::concat(const Tensors& parts, std::int64_t lines, Tensor& y) {
  if (y.size() == 0) return;
  const std::int64_t pitch = y.size() / lines;
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* to = y.mutable_data<T>();
    for (const Tensor& part : parts) {
      const std::int64_t run = part.size() / lines;
      if (run == 0) continue;
      const Lines<T> from = part.device_lines<T>(run);
      parallel_ranges(lines, std::max<std::int64_t>(1, 16384 / run), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i)
          std::memcpy(to + i * pitch, from.data + i * from.step, static_cast<std::size_t>(run) * sizeof(T));
      });
      to += run;
    }
  });
}

}  // namespace costate
