// The one product that matrix products and convolutions are: C(m, n) = sum_k A(m, k) B(k, n), with A, B and C given by functors.
//
// A block computes a tile of 64 x 64, a thread 4 x 4 of it; k goes by in steps of 16 through shared memory, in order: every
// element of C is one chain of fused multiply-adds, whatever the size of the batch.
#pragma once

#include "gpu/launch.h"

namespace costate::cuda {

constexpr int gemm_tile = 64, gemm_depth = 16, gemm_threads = 256;

/// A: a.row(problem, m) and a.term(problem, k) say once what a whole row and a whole column of A share; a(row, term) is the
/// element. B: b(problem, k, n). C: c(problem, m, n, value) writes. All are asked inside the extents only. The problem is an index
/// of the batch, a group of channels ...
template <class T, class A, class B, class C>
__global__ void __launch_bounds__(gemm_threads) gemm_kernel(A a, B b, C c, int m_count, int n_count, int k_count) {
  constexpr int loads = gemm_tile * gemm_depth / gemm_threads;  // a thread's share of a tile
  constexpr int a_step = gemm_threads / gemm_depth, b_step = gemm_threads / gemm_tile;
  __shared__ T a_tile[gemm_depth][gemm_tile + 4];  // padded against bank conflicts
  __shared__ T b_tile[gemm_depth][gemm_tile];
  const int problem = static_cast<int>(blockIdx.z), t = static_cast<int>(threadIdx.x);
  const int m0 = static_cast<int>(blockIdx.x) * gemm_tile, n0 = static_cast<int>(blockIdx.y) * gemm_tile;
  const int am = t / gemm_depth, ak = t % gemm_depth, bk = t / gemm_tile, bn = t % gemm_tile;
  decltype(a.row(0, 0)) rows[loads];
  for (int i = 0; i < loads; ++i)
    if (m0 + am + i * a_step < m_count) rows[i] = a.row(problem, m0 + am + i * a_step);
  const int row = t / 16 * 4, column = t % 16 * 4;
  T sum[4][4] = {};
  for (int k0 = 0; k0 < k_count; k0 += gemm_depth) {
    const bool inside = k0 + ak < k_count;
    decltype(a.term(0, 0)) term{};
    if (inside) term = a.term(problem, k0 + ak);
    for (int i = 0; i < loads; ++i) {
      const int m = am + i * a_step, k = bk + i * b_step;
      a_tile[ak][m] = inside && m0 + m < m_count ? a(rows[i], term) : T{0};
      b_tile[k][bn] = n0 + bn < n_count && k0 + k < k_count ? b(problem, k0 + k, n0 + bn) : T{0};
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
      if (m0 + row + i < m_count && n0 + column + j < n_count) c(problem, m0 + row + i, n0 + column + j, sum[i][j]);
    }
  }
}

/// `problems` products, each (m x k)(k x n).
template <class T, class A, class B, class C>
void gemm(const char* op, const A& a, const B& b, const C& c, std::int64_t problems, std::int64_t m, std::int64_t n,
          std::int64_t k) {
  if (problems == 0 || m == 0 || n == 0) return;
  constexpr std::int64_t most = (std::int64_t{1} << 31) - gemm_tile;  // kernels count in int
  const auto tiles = [](std::int64_t extent) { return static_cast<unsigned>((extent + gemm_tile - 1) / gemm_tile); };
  require(m < most && k < most && tiles(n) <= 65535 && problems <= 65535,
          "{}: {} products ({} x {}) by ({} x {}) are more than one launch holds; use a smaller batch", op, problems, m,
          k, k, n);
  launch(op, dim3(tiles(m), tiles(n), static_cast<unsigned>(problems)), dim3(gemm_threads), gemm_kernel<T, A, B, C>, a,
         b, c, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k));
}

}  // namespace costate::cuda
