// Batched matrix product with either factor transposed.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

/// What factors in f32 keep of their digits in matrix products and convolutions on a device. Set for the whole process, before work
/// starts.
enum class Products {
  full,  ///< all
  tf32,  ///< ten bits behind the leading one, on tensor cores; sums stay f32
};
Products products_in_f32();
void set_products_in_f32(Products how);

namespace cpu {
void matmul(bool transpose_a, bool transpose_b, const Tensor& a, const Tensor& b, const Tensor& bias,
            const Tensor& addend, Tensor& c);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::matmul) matmul;
}  // namespace cuda

/// c[i] = op(a[i]) op(b[i]) + bias + addend[i] for each i of the first axis. a (batch,m,k) or (batch,k,m) if transpose_a; b (batch,k,n) or
/// (batch,n,k) if transpose_b; either's batch may be 1 and is then shared. c (batch,m,n). bias (n), or (batch,n) if b is not shared, the start
/// of every row, or undefined. addend (as c), or undefined. f32, f64 or bf16; the callers have checked.
inline constexpr Kernel<void(bool, bool, const Tensor&, const Tensor&, const Tensor&, const Tensor&, Tensor&)>
    matmul_kernel{"matmul", cpu::matmul, cuda::matmul};

}  // namespace costate
