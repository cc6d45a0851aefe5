// e^x and 1 / (1 + e^-x), in f32 by the machine's own exponential and reciprocal: within 2^-21 of themselves, or of 1, where |x| < 4;
// e^x is off by |x| 2^-24 of itself beyond.
#pragma once

#include <cmath>
#include <numbers>

#include "gpu/ptx.h"

namespace costate::cuda {

__device__ inline double fast_exp(double x) { return std::exp(x); }
__device__ inline float fast_exp(float x) { return power_of_two(std::numbers::log2e_v<float> * x); }

__device__ inline double sigmoid(double x) { return 1 / (1 + fast_exp(-x)); }
__device__ inline float sigmoid(float x) { return fast_reciprocal(1 + fast_exp(-x)); }

/// The derivative of x sigmoid(x).
template <class C>
__device__ C silu_slope(C x) {
  const C s = sigmoid(x);
  return s * (1 + x * (1 - s));
}

}  // namespace costate::cuda
