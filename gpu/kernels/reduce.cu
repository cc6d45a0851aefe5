// Sums and maxima. Summed elements are cut into pieces, whose length follows from their number; a piece's partial sum has a fixed
// order, and the pieces are added in order, so the bits depend on the shape of what is summed alone.
#include "core/kernels/reduce.h"

#include <algorithm>

#include "core/kernels/copy.h"
#include "gpu/block_sum.h"
#include "gpu/elementwise.h"
#include "gpu/loops.h"
#include "gpu/precision.h"

namespace costate::cuda {
namespace {

constexpr int threads = 256;
constexpr std::int64_t most_pieces = 65535;  // blocks along y

/// A thread goes through a piece of a column alone, a block through one of a run.
std::int64_t piece_length(bool columns, std::int64_t count) {
  return std::max<std::int64_t>(columns ? 128 : 4096, (count + most_pieces - 1) / most_pieces);
}

using Axes = Loops<1>;

__device__ inline std::int64_t offset(const Axes& axes, std::int64_t i) {
  std::int64_t at[1] = {};
  axes.find(i, at);
  return at[0];
}

/// A thread's sum: of x at every `step`-th place of `axes` from `first` to `end`. Several are read at a time.
template <class T>
__device__ double sum_terms(const Axes& axes, std::int64_t first, std::int64_t end, std::int64_t step, const T* x) {
  double sum = 0;
  if (axes.rank <= 1) {
    const std::int64_t apart = axes.rank == 0 ? 0 : axes.step[0][0];
#pragma unroll 8
    for (std::int64_t r = first; r < end; r += step) sum += widen(x[r * apart]);
  } else {
#pragma unroll 4
    for (std::int64_t r = first; r < end; r += step) sum += widen(x[offset(axes, r)]);
  }
  return sum;
}

/// partial[piece, output]: a thread an output. For sums whose outputs lie side by side.
template <class T, class Out>
__global__ void column_sums(Axes kept, Axes summed, std::int64_t length, const T* x, Out* partial) {
  kernel_begins();
  const std::int64_t output = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (output >= kept.count) return;
  const std::int64_t first = blockIdx.y * length, end = std::min(first + length, summed.count);
  partial[blockIdx.y * kept.count + output] = narrow<Out>(sum_terms(summed, first, end, 1, x + offset(kept, output)));
}

/// partial[piece, output]: a block an output. For sums whose terms lie side by side.
template <class T, class Out>
__global__ void run_sums(Axes kept, Axes summed, std::int64_t length, const T* x, Out* partial) {
  kernel_begins();
  __shared__ double shared[threads / 32];
  const std::int64_t first = blockIdx.y * length, end = std::min(first + length, summed.count);
  for (std::int64_t output = blockIdx.x; output < kept.count; output += gridDim.x) {
    const T* from = x + offset(kept, output);
    const double sum =
        block_combine<threads>(sum_terms(summed, first + threadIdx.x, end, threads, from), shared, Add{});
    if (threadIdx.x == 0) partial[blockIdx.y * kept.count + output] = narrow<Out>(sum);
  }
}

template <class T>
__global__ void add_pieces(std::int64_t outputs, std::int64_t pieces, const double* partial, T* y) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < outputs; i += stride) {
    double sum = 0;
#pragma unroll 8
    for (std::int64_t piece = 0; piece < pieces; ++piece) sum += partial[piece * outputs + i];
    y[i] = narrow<T>(sum);
  }
}

template <class T, class Out>
void sum_pieces(bool columns, const Axes& kept, const Axes& summed, std::int64_t length, std::int64_t pieces,
                const T* x, Out* partial) {
  const std::int64_t blocks =
      columns ? (kept.count + threads - 1) / threads : std::min<std::int64_t>(kept.count, 1 << 20);
  launch("sum_to", dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(pieces)), dim3(threads),
         columns ? column_sums<T, Out> : run_sums<T, Out>, kept, summed, length, x, partial);
}

template <class T>
__global__ void max_last_kernel(std::int64_t rows, std::int64_t width, const T* x, T* y) {
  kernel_begins();
  using C = decltype(widen(T{}));
  __shared__ C shared[threads / 32];
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* from = x + row * width;
    C best = widen(from[threadIdx.x < width ? threadIdx.x : 0]);
    for (std::int64_t i = threadIdx.x + threads; i < width; i += threads) best = Larger{}(best, widen(from[i]));
    best = block_combine<threads>(best, shared, Larger{});
    if (threadIdx.x == 0) y[row] = narrow<T>(best);
  }
}

}  // namespace

void sum_to(const Tensor& x, Tensor& y) {
  if (y.size() == 0) return;
  const auto steps = row_major_steps(x.shape());
  Axes kept, summed;
  bool columns = false;  // the last axis that matters decides which kernel runs
  for (int i = 0; i < x.rank(); ++i) {
    if (x.dim(i) == 1) continue;
    columns = y.dim(i) != 1;
    (columns ? kept : summed).push(x.dim(i), {steps[static_cast<std::size_t>(i)]});
  }
  const std::int64_t length = piece_length(columns, summed.count),
                     pieces = std::max<std::int64_t>(1, (summed.count + length - 1) / length);
  visit_dtype(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* from = x.device_data<T>();
    if (pieces == 1) return sum_pieces(columns, kept, summed, length, pieces, from, y.mutable_device_data<T>());
    Tensor partial = Tensor::empty({pieces, kept.count}, x.kind().with(DType::f64));
    sum_pieces(columns, kept, summed, length, pieces, from, partial.mutable_device_data<double>());
    launch("sum_to", blocks_for(y.size()), dim3(256), add_pieces<T>, y.size(), pieces, partial.device_data<double>(),
           y.mutable_device_data<T>());
  });
}

void max_last(const Tensor& x, Tensor& y) {
  const std::int64_t width = x.dim(-1);
  require(width > 0, "max_last: the last axis of {} is empty", x.shape());
  if (y.size() == 0) return;
  visit_floating(x.dtype(), "max_last", [&](auto tag) {
    using T = decltype(tag);
    launch("max_last", dim3(static_cast<unsigned>(std::min<std::int64_t>(y.size(), 1 << 20))), dim3(threads),
           max_last_kernel<T>, y.size(), width, x.device_data<T>(), y.mutable_device_data<T>());
  });
}

}  // namespace costate::cuda
