// Reductions with an order fixed by the shape alone.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

namespace cpu {
void sum_to(const Tensor& x, Tensor& y);
void max_last(const Tensor& x, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::sum_to) sum_to;
[[gnu::weak]] decltype(cpu::max_last) max_last;
}  // namespace cuda

/// Sums x over the axes where y has extent 1; ranks are equal. Accumulates in f64.
inline constexpr Kernel<void(const Tensor&, Tensor&)> sum_to_kernel{"sum_to", cpu::sum_to, cuda::sum_to};
/// Largest entry along the last axis, which has extent 1 in y. NaN wins.
inline constexpr Kernel<void(const Tensor&, Tensor&)> max_last_kernel{"max_last", cpu::max_last, cuda::max_last};

}  // namespace costate
