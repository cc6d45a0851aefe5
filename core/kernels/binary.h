// Elementwise kernels of two operands of equal rank, where an extent of 1 is repeated along the other's.
#pragma once

#include <array>

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

namespace cpu {
void lincomb(double alpha, double beta, const Tensor& a, const Tensor& b, Tensor& y);
void mul(const Tensor& a, const Tensor& b, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::lincomb) lincomb;
[[gnu::weak]] decltype(cpu::mul) mul;
}  // namespace cuda

/// y = alpha a + beta b
inline constexpr Kernel<void(double, double, const Tensor&, const Tensor&, Tensor&)> lincomb_kernel{
    "lincomb", cpu::lincomb, cuda::lincomb};
/// y = a b
inline constexpr Kernel<void(const Tensor&, const Tensor&, Tensor&)> mul_kernel{"mul", cpu::mul, cuda::mul};

/// Loops over y with the step each operand takes (0 where it is stretched); neighbouring axes joined where all three allow it.
struct StretchLoops {
  int rank = 0;
  std::array<std::int64_t, Shape::max_rank> extent{}, a{}, b{};
};
StretchLoops stretch_loops(const Shape& y, const Shape& a, const Shape& b);

/// The shape two operands stretch to; throws, naming `op`, where neither extent is 1 or the ranks differ.
Shape stretched(const char* op, const Shape& a, const Shape& b);

}  // namespace costate
