// Lines of several tensors, one behind the other in each line of the result.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

namespace cpu {
void concat(const Tensors& parts, std::int64_t lines, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::concat) concat;
}  // namespace cuda

/// Each part is so many lines, and y as well, as long as theirs together. Any dtype, the same in all.
inline constexpr Kernel<void(const Tensors&, std::int64_t, Tensor&)> concat_kernel{"concat", cpu::concat, cuda::concat};

}  // namespace costate
