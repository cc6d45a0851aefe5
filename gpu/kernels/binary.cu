// Two-operand elementwise kernels, where an extent of 1 is repeated along the other's.
#include "core/kernels/binary.h"

#include <algorithm>

#include "gpu/elementwise.h"
#include "gpu/loops.h"

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

/// N neighbours along the last axis, or the one number that stands for them.
template <int n, class T>
__device__ Pack<T, n> neighbours(const T* from, bool along) {
  if (along) return *reinterpret_cast<const Pack<T, n>*>(from);
  decltype(widen(T{})) all[n];
  for (auto& one : all) one = widen(*from);
  return Pack<T, n>::of(all);
}

template <class F, class T, int n>
__global__ void stretched_kernel(Loops<2> loops, bool a_along, bool b_along, F f, T* y, const T* a, const T* b) {
  kernel_begins();
  over_elements(loops, [&](std::int64_t i, const std::int64_t(&at)[2]) {
    const Pack<T, n> u = neighbours<n>(a + at[0], a_along), v = neighbours<n>(b + at[1], b_along);
    decltype(widen(T{})) out[n];
#pragma unroll
    for (int k = 0; k < n; ++k) out[k] = f(u[k], v[k]);
    reinterpret_cast<Pack<T, n>*>(y)[i] = Pack<T, n>::of(out);
  });
}

/// n elements of the last axis at a time.
Loops<2> loops_of(const StretchLoops& all, std::int64_t n) {
  Loops<2> loops;
  for (std::size_t i = 0; i < static_cast<std::size_t>(all.rank); ++i) {
    const std::int64_t along = static_cast<int>(i) + 1 == all.rank ? n : 1;
    loops.push(all.extent[i] / along, {all.a[i] * along, all.b[i] * along});
  }
  return loops;
}

/// Two of one shape, line by line of `width` elements.
StretchLoops line_loops(std::int64_t lines, std::int64_t width, std::int64_t a_step, std::int64_t b_step) {
  return {2, {lines, width}, {a_step, 1}, {b_step, 1}};
}

template <class F>
void binary(const char* op, const F& f, const Tensor& a, const Tensor& b, Tensor& y) {
  const bool alike = a.shape() == b.shape();
  if (alike && a.run() == b.run() && a.run() == y.size()) return map(op, f, y, a, b);
  if (y.size() == 0) return;
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    constexpr int n = 16 / sizeof(T);
    const std::int64_t width = std::min(a.run(), b.run());
    const Lines<T> from_a = alike ? a.device_lines<T>(width) : Lines<T>{a.device_data<T>(), 0},
                   from_b = alike ? b.device_lines<T>(width) : Lines<T>{b.device_data<T>(), 0};
    const StretchLoops all = alike ? line_loops(y.size() / width, width, from_a.step, from_b.step)
                                   : stretch_loops(y.shape(), a.shape(), b.shape());
    const auto last = static_cast<std::size_t>(std::max(all.rank, 1) - 1);
    T* to = y.mutable_device_data<T>();
    const bool packs = all.rank > 0 && all.extent[last] % n == 0 && all.a[last] <= 1 && all.b[last] <= 1 &&
                       aligned_16(to) && aligned_16(from_a.data) && aligned_16(from_b.data);
    const Loops<2> loops = loops_of(all, packs ? n : 1);
    launch(op, blocks_for(loops.count), dim3(256), packs ? stretched_kernel<F, T, n> : stretched_kernel<F, T, 1>, loops,
           all.a[last] == 1, all.b[last] == 1, f, to, from_a.data, from_b.data);
  });
}

}  // namespace

void lincomb(double alpha, double beta, const Tensor& a, const Tensor& b, Tensor& y) {
  binary("lincomb", Lincomb{alpha, beta}, a, b, y);
}

void mul(const Tensor& a, const Tensor& b, Tensor& y) { binary("mul", Product{}, a, b, y); }

}  // namespace costate::cuda
