// Searching on the device: the least index that each block has found, and the least of these on the host.
#include "core/kernels/search.h"

#include <algorithm>

#include "gpu/block_sum.h"

namespace costate::cuda {
namespace {

constexpr int threads = 256;

struct Smaller {
  __device__ double operator()(double a, double b) const { return b < a ? b : a; }
};

/// found[block]: an index, which f64 holds exactly, or n.
template <class T>
__global__ void search_kernel(Search what, std::int64_t n, const T* x, double* found) {
  kernel_begins();
  __shared__ double shared[threads / 32];
  std::int64_t mine = n;
  const std::int64_t stride = std::int64_t{gridDim.x} * threads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x; i < n && mine == n; i += stride)
    if (is_found(what, x[i])) mine = i;
  const double least = block_combine<threads>(static_cast<double>(mine), shared, Smaller{});
  if (threadIdx.x == 0) found[blockIdx.x] = least;
}

}  // namespace

void search(Search what, const Tensor& x, std::int64_t& at) {
  at = -1;
  const std::int64_t n = x.size(), blocks = std::min<std::int64_t>(264, (n + threads - 1) / threads);
  if (n == 0) return;
  Tensor found = Tensor::empty({blocks}, x.kind().with(DType::f64));
  visit_dtype(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    launch("search", dim3(static_cast<unsigned>(blocks)), dim3(threads), search_kernel<T>, what, n, x.device_data<T>(),
           found.mutable_device_data<double>());
  });
  const auto all = found.to_vector();
  const auto least = static_cast<std::int64_t>(*std::min_element(all.begin(), all.end()));
  if (least < n) at = least;
}

}  // namespace costate::cuda
