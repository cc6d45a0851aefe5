// One value everywhere.
#include "core/kernels/memory.h"

#include "gpu/elementwise.h"

namespace costate::cuda {
namespace {

template <class T>
struct Constant {
  T value;
  __device__ T operator()() const { return value; }
};

}  // namespace

void fill(double value, Tensor& y) {
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    map_elements("fill", Constant<T>{narrow<T>(value)}, y.size(), y.mutable_device_data<T>());
  });
}

}  // namespace costate::cuda
