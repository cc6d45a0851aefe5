// Sums over the threads of a block in a fixed tree.
#pragma once

#include "gpu/launch.h"

namespace costate::cuda {

/// Combines one value of each of `threads` (warps of 32, the block's size) by f, lanes of a warp as a tree, then warps in order; all
/// threads get the result. `shared` holds one T a warp and may be used again at once.
template <int threads, class T, class F>
__device__ T block_combine(T value, T* shared, const F& f) {
  for (unsigned lanes = 16; lanes > 0; lanes /= 2) value = f(value, __shfl_xor_sync(~0U, value, lanes));
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  T all = shared[0];
#pragma unroll
  for (int warp = 1; warp < threads / 32; ++warp) all = f(all, shared[warp]);
  __syncthreads();
  return all;
}

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

/// The larger; NaN wins.
struct Larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

}  // namespace costate::cuda
