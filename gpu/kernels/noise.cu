// Noise, the same bits as the CPU's. Compiled without contraction of products and sums.
#include "core/kernels/noise.h"

#include "gpu/elementwise.h"

namespace costate::cuda {
namespace {

template <class T>
__global__ void noise_kernel(NoiseStream stream, std::int64_t rows, std::int64_t size, T* y) {
  kernel_begins();
  const std::int64_t pairs = (size + 1) / 2, stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < rows * pairs; i += stride) {
    const std::int64_t row = i / pairs, k = i % pairs;
    const auto z = stream.pair(row, k);
    T* at = y + row * size + 2 * k;
    at[0] = static_cast<T>(z[0]);
    if (2 * k + 1 < size) at[1] = static_cast<T>(z[1]);
  }
}

}  // namespace

void noise(const NoiseStream& stream, Tensor& y) {
  if (y.size() == 0) return;
  const std::int64_t rows = y.dim(0), size = y.size() / rows;
  visit_compute(y.dtype(), "normal_noise", [&](auto tag) {
    using T = decltype(tag);
    launch("normal_noise", blocks_for(rows * ((size + 1) / 2)), dim3(256), noise_kernel<T>, stream, rows, size,
           y.mutable_device_data<T>());
  });
}

}  // namespace costate::cuda
