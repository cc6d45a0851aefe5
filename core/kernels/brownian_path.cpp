// Brownian paths of a few elements at a time, whose normals are made together.
#include "core/kernels/brownian_path.h"

#include <algorithm>

#include "core/parallel.h"

namespace costate {

void cpu::brownian_path(const PathDraw& draw, Tensor& y) {
  if (y.size() == 0) return;
  constexpr int width = 64;
  const std::int64_t size = y.size() / y.dim(0), blocks = (size + width - 1) / width;
  visit_compute(y.dtype(), "brownian_path", [&](auto tag) {
    using T = decltype(tag);
    T* out = y.mutable_data<T>();
    parallel_ranges(y.dim(0) * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t row = block / blocks, first = block % blocks * width;
        const auto count = static_cast<int>(std::min<std::int64_t>(width, size - first));
        const auto found = Paths<width>(draw, row, first, count).over(draw, normal_pairs);
        for (int i = 0; i < count; ++i)
          out[row * size + first + i] = static_cast<T>(draw.area ? draw.unit * found.H[i] : found.W[i] / draw.unit);
      }
    });
  });
}

}  // namespace costate
