// The one product that matrix products and convolutions are: C(m, n) = sum_k A(m, k) B(k, n), with A, B and C given by functors.
//
// A block computes a tile of 64 x 64, a thread 4 x 4 of it; k goes by in steps of 16 through shared memory, in order: every
// element of C is one chain of fused multiply-adds, whatever the size of the batch.
#pragma once

#include "gpu/launch.h"

namespace costate::cuda {

constexpr int gemm_tile = 64, gemm_depth = 16, gemm_threads = 256;

/// a(problem, m, k), b(problem, k, n) are asked inside the extents only; c(problem, m, n, value) writes. blockIdx.z is the
/// problem: an index of the batch, a group of channels ...
template <class T, class A, class B, class C>
__global__ void __launch_bounds__(gemm_threads)
    gemm_kernel(A a, B b, C c, std::int64_t m_count, std::int64_t n_count, std::int64_t k_count) {
  __shared__ T a_tile[gemm_depth][gemm_tile + 4];  // padded against bank conflicts
  __shared__ T b_tile[gemm_depth][gemm_tile];
  const std::int64_t m0 = std::int64_t{blockIdx.x} * gemm_tile, n0 = std::int64_t{blockIdx.y} * gemm_tile;
  const unsigned t = threadIdx.x, row = t / 16 * 4, column = t % 16 * 4;
  T sum[4][4] = {};
  for (std::int64_t k0 = 0; k0 < k_count; k0 += gemm_depth) {
    for (unsigned i = t; i < gemm_tile * gemm_depth; i += gemm_threads) {
      const unsigned am = i / gemm_depth, ak = i % gemm_depth, bk = i / gemm_tile, bn = i % gemm_tile;
      a_tile[ak][am] = m0 + am < m_count && k0 + ak < k_count ? a(blockIdx.z, m0 + am, k0 + ak) : T{0};
      b_tile[bk][bn] = n0 + bn < n_count && k0 + bk < k_count ? b(blockIdx.z, k0 + bk, n0 + bn) : T{0};
    }
    __syncthreads();
    for (int k = 0; k < gemm_depth; ++k) {
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) sum[i][j] += a_tile[k][row + i] * b_tile[k][column + j];
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      if (m0 + row + i < m_count && n0 + column + j < n_count) c(blockIdx.z, m0 + row + i, n0 + column + j, sum[i][j]);
    }
  }
}

/// `problems` products, each (m x k)(k x n).
template <class T, class A, class B, class C>
void gemm(const char* op, const A& a, const B& b, const C& c, std::int64_t problems, std::int64_t m, std::int64_t n,
          std::int64_t k) {
  if (problems == 0 || m == 0 || n == 0) return;
  const auto tiles = [](std::int64_t extent) { return static_cast<unsigned>((extent + gemm_tile - 1) / gemm_tile); };
  require(tiles(n) <= 65535 && problems <= 65535, "{}: {} products {} wide are more than one launch holds", op,
          problems, n);
  launch(op, dim3(tiles(m), tiles(n), static_cast<unsigned>(problems)), dim3(gemm_threads), gemm_kernel<T, A, B, C>, a,
         b, c, m, n, k);
}

}  // namespace costate::cuda
