// Brownian paths, the same bits as the CPU's: a thread has one element. Compiled without contraction of products and sums.
#include "core/kernels/brownian_path.h"

#include "gpu/elementwise.h"

namespace costate::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(256) path_kernel(PathDraw draw, std::int64_t size, std::int64_t all, T* y) {
  kernel_begins();
  const auto normals = [](const NoiseStream& stream, std::int64_t first, int, double* out) {
    const auto z = stream.pair(0, first);
    out[0] = z[0], out[1] = z[1];
  };
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < all; i += stride) {
    const std::int64_t row = i / size;
    const PathPieces<1> found = Paths<1>(draw, row, i - row * size, 1).over(draw, normals);
    y[i] = static_cast<T>(draw.area ? draw.unit * found.H[0] : found.W[0] / draw.unit);
  }
}

}  // namespace

void brownian_path(const PathDraw& draw, Tensor& y) {
  if (y.size() == 0) return;
  visit_compute(y.dtype(), "brownian_path", [&](auto tag) {
    using T = decltype(tag);
    launch("brownian_path", blocks_for(y.size()), dim3(256), path_kernel<T>, draw, y.size() / y.dim(0), y.size(),
           y.mutable_device_data<T>());
  });
}

}  // namespace costate::cuda
