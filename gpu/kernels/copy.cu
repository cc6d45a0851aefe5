// Strided copies and conversions.
#include "core/kernels/copy.h"

#include "gpu/elementwise.h"

namespace costate::cuda {
namespace {

/// T is a word of the element's size: a copy need not know what it moves.
template <class T>
__global__ void copy_kernel(CopyBox box, std::int64_t count, const T* from, T* to) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    std::int64_t rest = i, f = box.from, t = box.to;
    for (int axis = box.rank - 1; axis >= 0; --axis) {
      const std::int64_t k = rest % box.extent[axis];
      rest /= box.extent[axis];
      f += k * box.from_step[axis];
      t += k * box.to_step[axis];
    }
    to[t] = from[f];
  }
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
    launch("copy", blocks_for(count), dim3(256), copy_kernel<T>, b, count, from.device_data<T>(),
           to.mutable_device_data<T>());
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
