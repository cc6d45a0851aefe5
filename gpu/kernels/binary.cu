// Two-operand elementwise kernels, where an extent of 1 is repeated along the other's.
#include "core/kernels/binary.h"

#include "gpu/elementwise.h"

namespace costate::cuda {
namespace {

struct Lincomb {
  double alpha, beta;
  template <class T>
  __device__ T operator()(T u, T v) const {
    return static_cast<T>(alpha) * u + static_cast<T>(beta) * v;
  }
};

struct Product {
  template <class T>
  __device__ T operator()(T u, T v) const {
    return u * v;
  }
};

template <class F, class T>
__global__ void stretched_kernel(StretchLoops loops, F f, std::int64_t count, const T* a, const T* b, T* y) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    std::int64_t rest = i, at_a = 0, at_b = 0;
    for (int axis = loops.rank - 1; axis >= 0; --axis) {
      const std::int64_t k = rest % loops.extent[axis];
      rest /= loops.extent[axis];
      at_a += k * loops.a[axis];
      at_b += k * loops.b[axis];
    }
    y[i] = narrow<T>(f(widen(a[at_a]), widen(b[at_b])));
  }
}

template <class F>
void binary(const char* op, const F& f, const Tensor& a, const Tensor& b, Tensor& y) {
  if (a.shape() == b.shape()) return map(op, f, y, a, b);
  if (y.size() == 0) return;
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    launch(op, blocks_for(y.size()), dim3(256), stretched_kernel<F, T>, stretch_loops(y.shape(), a.shape(), b.shape()),
           f, y.size(), a.device_data<T>(), b.device_data<T>(), y.mutable_device_data<T>());
  });
}

}  // namespace

void lincomb(double alpha, double beta, const Tensor& a, const Tensor& b, Tensor& y) {
  binary("lincomb", Lincomb{alpha, beta}, a, b, y);
}

void mul(const Tensor& a, const Tensor& b, Tensor& y) { binary("mul", Product{}, a, b, y); }

}  // namespace costate::cuda
