// Noise on the CPU.
#include "core/kernels/noise.h"

#include "core/parallel.h"

namespace costate {

void cpu::noise(const NoiseStream& stream, Tensor& y) {
  if (y.size() == 0) return;
  const std::int64_t size = y.size() / y.dim(0), pairs = (size + 1) / 2;
  visit_compute(y.dtype(), "normal_noise", [&](auto tag) {
    using T = decltype(tag);
    T* out = y.mutable_data<T>();
    parallel_ranges(y.dim(0) * pairs, 2048, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t row = i / pairs, k = i % pairs;
        const auto z = stream.pair(row, k);
        T* at = out + row * size + 2 * k;
        at[0] = static_cast<T>(z[0]);
        if (2 * k + 1 < size) at[1] = static_cast<T>(z[1]);
      }
    });
  });
}

}  // namespace costate
