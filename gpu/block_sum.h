// Sums over the threads of a block in a fixed tree.
#pragma once

#include "gpu/launch.h"

namespace costate::cuda {

/// Combines one value of each of `threads` (a power of two, the block's size) by f; all threads get the result. `shared` holds
/// one T a thread and may be used again at once.
template <int threads, class T, class F>
__device__ T block_combine(T value, T* shared, const F& f) {
  const unsigned t = threadIdx.x;
  shared[t] = value;
  __syncthreads();
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    if (t < half) shared[t] = f(shared[t], shared[t + half]);
    __syncthreads();
  }
  const T all = shared[0];
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
