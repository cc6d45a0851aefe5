// Fused attention in bf16 on tensor cores.
#pragma once

#include <cmath>

#include "gpu/attention/heads.h"
#include "gpu/block_sum.h"

namespace costate::cuda::mma {

constexpr int rows = 64, threads = 128;  // of a block; a warp has 16 rows of the tile

/// 64 tokens of a head, d wide (zeros from `width` on), in shared memory; rows 16 bytes longer against bank conflicts.
template <int d>
struct Tile {
  static constexpr int pitch = d + 8, size = rows * pitch;

  __device__ static void load(bf16* to, const bf16* from, int first, int count, const Lengths& z) {
    load_tokens<rows, d, pitch, threads>(to, from, first, count, z);
  }
};

__device__ inline int lane() { return static_cast<int>(threadIdx.x) % 32; }
__device__ inline int warp_row() { return static_cast<int>(threadIdx.x) / 32 * 16; }
__device__ inline int low() { return lane() % 8; }
__device__ inline int odd() { return lane() / 8 % 2 * 8; }
__device__ inline int high() { return lane() / 16 * 8; }

/// Where a lane's number i of product n of 16 x 8 stands: rows of the warp, columns of the tile.
__device__ inline int row_of(int i) { return lane() / 4 + i / 2 * 8; }
__device__ inline int column_of(int n, int i) { return n * 8 + lane() % 4 * 2 + i % 2; }

using Scores = float[rows / 8][4];  // of a warp: 16 x 64

/// s = the warp's rows of a times all rows of b.
template <int d>
__device__ void rows_by_rows(Scores& s, const bf16* a, const bf16* b) {
  constexpr int pitch = Tile<d>::pitch;
#pragma unroll
  for (int n = 0; n < rows / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) s[n][i] = 0;
#pragma unroll
  for (int k = 0; k < d; k += 16) {
    std::uint32_t left[4];
    load_matrices<false>(left, a + (warp_row() + odd() + low()) * pitch + k + high());
#pragma unroll
    for (int j = 0; j < rows / 16; ++j) {
      std::uint32_t right[4];
      load_matrices<false>(right, b + (j * 16 + high() + low()) * pitch + k + odd());
      multiply_add(s[2 * j], left, right[0], right[1]);
      multiply_add(s[2 * j + 1], left, right[2], right[3]);
    }
  }
}

__device__ inline std::uint32_t pair_of(float a, float b) {
  return std::uint32_t{narrow<bf16>(a).bits} | std::uint32_t{narrow<bf16>(b).bits} << 16;
}

/// sum += w (16 x 64, in the registers that `rows_by_rows` leaves it in) times the tile b.
template <int d>
__device__ void add_weighted(float (&sum)[d / 8][4], const Scores& w, const bf16* b) {
  constexpr int pitch = Tile<d>::pitch;
#pragma unroll
  for (int k = 0; k < rows / 16; ++k) {
    const std::uint32_t left[4] = {pair_of(w[2 * k][0], w[2 * k][1]), pair_of(w[2 * k][2], w[2 * k][3]),
                                   pair_of(w[2 * k + 1][0], w[2 * k + 1][1]),
                                   pair_of(w[2 * k + 1][2], w[2 * k + 1][3])};
#pragma unroll
    for (int j = 0; j < d / 16; ++j) {
      std::uint32_t right[4];
      load_matrices<true>(right, b + (k * 16 + odd() + low()) * pitch + j * 16 + high());
      multiply_add(sum[2 * j], left, right[0], right[1]);
      multiply_add(sum[2 * j + 1], left, right[2], right[3]);
    }
  }
}

/// Over the four lanes that share a row.
template <class F>
__device__ float of_row(float value, const F& f) {
  value = f(value, __shfl_xor_sync(~0U, value, 1));
  return f(value, __shfl_xor_sync(~0U, value, 2));
}

/// Writes the warp's rows, row r times factor[r / 8 of the lane's two].
template <int d>
__device__ void store_rows(bf16* head, int first, int count, const Lengths& z, const float (&sum)[d / 8][4],
                           float upper, float lower) {
#pragma unroll
  for (int n = 0; n < d / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      const int row = first + warp_row() + row_of(i), column = column_of(n, i);
      const float factor = i == 0 ? upper : lower;
      if (row < count && column < z.width)
        *reinterpret_cast<std::uint32_t*>(head + std::int64_t{row} * z.heads * z.width + column) =
            pair_of(sum[n][i] * factor, sum[n][i + 1] * factor);
    }
}

/// s times `scale` in units of log 2, and nothing from key `count` on.
__device__ inline void scale_scores(Scores& s, float scale, int first, int count) {
  const float factor = scale * static_cast<float>(log2_e);
#pragma unroll
  for (int n = 0; n < rows / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) s[n][i] = first + column_of(n, i) < count ? s[n][i] * factor : -INFINITY;
}

/// A running softmax of the lane's two rows. `take` turns scores into weights and returns, for each row, what earlier sums of
/// weights are to be multiplied by.
struct Softmax {
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};

  __device__ void take(Scores& s, float (&factor)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = largest[half];
#pragma unroll
      for (int n = 0; n < rows / 8; ++n) most = std::fmax(most, std::fmax(s[n][2 * half], s[n][2 * half + 1]));
      most = of_row(most, [](float a, float b) { return std::fmax(a, b); });
      factor[half] = power_of_two(largest[half] - most);
      largest[half] = most;
      sum[half] *= factor[half];
#pragma unroll
      for (int n = 0; n < rows / 8; ++n)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          s[n][i] = power_of_two(s[n][i] - most);
          sum[half] += s[n][i];
        }
    }
  }
};

/// Runs step(i, slot) for 0 <= i < steps, tiles loaded one step ahead by load(i, slot).
template <class Load, class Step>
__device__ void over_tiles(int steps, const Load& load, const Step& step) {
  load(0, 0);
  copies_end_group();
  for (int i = 0; i < steps; ++i) {
    if (i + 1 < steps) load(i + 1, (i + 1) % 2);
    copies_end_group();
    copies_wait<1>();
    __syncthreads();
    step(i, i % 2);
    __syncthreads();
  }
}

template <int d>
__global__ void __launch_bounds__(threads, 2) forward(Lengths z, const bf16* q, const bf16* k, const bf16* v, bf16* y) {
  constexpr int size = Tile<d>::size;
  bf16 *query = dynamic_shared<bf16>(), *keys = query + size, *values = keys + 2 * size;
  const Share s(z, z.queries, rows);
  const auto scale = static_cast<float>(z.scale);
  Softmax softmax;
  float out[d / 8][4] = {};
  Tile<d>::load(query, q + s.queries, s.first, z.queries, z);
  over_tiles((z.keys + rows - 1) / rows,
             [&](int i, int slot) {
               Tile<d>::load(keys + slot * size, k + s.keys, i * rows, z.keys, z);
               Tile<d>::load(values + slot * size, v + s.keys, i * rows, z.keys, z);
             },
             [&](int i, int slot) {
               Scores p;
               float factor[2];
               rows_by_rows<d>(p, query, keys + slot * size);
               scale_scores(p, scale, i * rows, z.keys);
               softmax.take(p, factor);
#pragma unroll
               for (int n = 0; n < d / 8; ++n)
#pragma unroll
                 for (int e = 0; e < 4; ++e) out[n][e] *= factor[e / 2];
               add_weighted<d>(out, p, values + slot * size);
             });
  store_rows<d>(y + s.queries, s.first, z.queries, z, out, 1 / of_row(softmax.sum[0], Add{}),
                1 / of_row(softmax.sum[1], Add{}));
}

template <int d>
__global__ void __launch_bounds__(threads, 2)
    query_vjp(Lengths z, const bf16* q, const bf16* k, const bf16* v, const bf16* g, bf16* dq, Query<float>* kept) {
  constexpr int size = Tile<d>::size;
  bf16 *query = dynamic_shared<bf16>(), *slope = query + size, *keys = slope + size, *values = keys + 2 * size;
  const Share s(z, z.queries, rows);
  const auto scale = static_cast<float>(z.scale);
  const int tiles = (z.keys + rows - 1) / rows;
  Softmax softmax;
  float mean[2] = {0, 0}, out[d / 8][4] = {};
  Tile<d>::load(query, q + s.queries, s.first, z.queries, z);
  Tile<d>::load(slope, g + s.queries, s.first, z.queries, z);
  const auto first_round = [&](Scores& p, const Scores& dp) {
    float factor[2];
    softmax.take(p, factor);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i % 2 == 0) mean[i / 2] *= factor[i / 2];
#pragma unroll
      for (int n = 0; n < rows / 8; ++n) mean[i / 2] += p[n][i] * dp[n][i];
    }
  };
  over_tiles(
      2 * tiles,
      [&](int i, int slot) {
        Tile<d>::load(keys + slot * size, k + s.keys, i % tiles * rows, z.keys, z);
        Tile<d>::load(values + slot * size, v + s.keys, i % tiles * rows, z.keys, z);
      },
      [&](int i, int slot) {
        Scores p, dp;
        rows_by_rows<d>(p, query, keys + slot * size);
        rows_by_rows<d>(dp, slope, values + slot * size);
        scale_scores(p, scale, i % tiles * rows, z.keys);
        if (i < tiles) return first_round(p, dp);
        if (i == tiles) {
          for (int half = 0; half < 2; ++half) {
            softmax.sum[half] = 1 / of_row(softmax.sum[half], Add{});
            mean[half] = of_row(mean[half], Add{}) * softmax.sum[half];
          }
        }
#pragma unroll
        for (int n = 0; n < rows / 8; ++n)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            p[n][e] =
                scale * power_of_two(p[n][e] - softmax.largest[e / 2]) * softmax.sum[e / 2] * (dp[n][e] - mean[e / 2]);
        add_weighted<d>(out, p, keys + slot * size);
      });
  store_rows<d>(dq + s.queries, s.first, z.queries, z, out, 1, 1);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = s.first + warp_row() + row_of(2 * half);
    if (lane() % 4 == 0 && row < z.queries)
      kept[std::int64_t{s.problem} * z.queries + row] = {softmax.largest[half], softmax.sum[half], mean[half]};
  }
}

template <int d>
__global__ void __launch_bounds__(threads, 2) key_vjp(Lengths z, const bf16* q, const bf16* k, const bf16* v,
                                                      const bf16* g, const Query<float>* kept, bf16* dk, bf16* dv) {
  constexpr int size = Tile<d>::size;
  bf16 *key = dynamic_shared<bf16>(), *value = key + size, *queries = value + size, *slopes = queries + 2 * size;
  auto* about = reinterpret_cast<Query<float>*>(slopes + 2 * size);
  const Share s(z, z.keys, rows);
  float keys_out[d / 8][4] = {}, values_out[d / 8][4] = {};
  Tile<d>::load(key, k + s.keys, s.first, z.keys, z);
  Tile<d>::load(value, v + s.keys, s.first, z.keys, z);
  const auto scale = static_cast<float>(z.scale);
  const float factor = scale * static_cast<float>(log2_e);
  over_tiles((z.queries + rows - 1) / rows,
             [&](int i, int slot) {
               Tile<d>::load(queries + slot * size, q + s.queries, i * rows, z.queries, z);
               Tile<d>::load(slopes + slot * size, g + s.queries, i * rows, z.queries, z);
               const int row = static_cast<int>(threadIdx.x);
               if (row < rows)
                 about[slot * rows + row] = i * rows + row < z.queries
                                                ? kept[std::int64_t{s.problem} * z.queries + i * rows + row]
                                                : Query<float>{INFINITY, 0, 0};
             },
             [&](int, int slot) {
               Scores p, dp;
               rows_by_rows<d>(p, key, queries + slot * size);
               rows_by_rows<d>(dp, value, slopes + slot * size);
#pragma unroll
               for (int n = 0; n < rows / 8; ++n)
#pragma unroll
                 for (int e = 0; e < 4; ++e) {
                   const Query<float> a = about[slot * rows + column_of(n, e)];
                   p[n][e] = power_of_two(p[n][e] * factor - a.largest) * a.factor;
                   dp[n][e] = scale * p[n][e] * (dp[n][e] - a.mean);
                 }
               add_weighted<d>(values_out, p, slopes + slot * size);
               add_weighted<d>(keys_out, dp, queries + slot * size);
             });
  store_rows<d>(dk + s.keys, s.first, z.keys, z, keys_out, 1, 1);
  store_rows<d>(dv + s.keys, s.first, z.keys, z, values_out, 1, 1);
}

template <int d>
constexpr FusedKernels<bf16> kernels = {
    {forward<d>, rows, threads, sizeof(bf16) * 5 * Tile<d>::size},
    {query_vjp<d>, rows, threads, sizeof(bf16) * 6 * Tile<d>::size},
    {key_vjp<d>, rows, threads, sizeof(bf16) * 6 * Tile<d>::size + 2 * rows * sizeof(Query<float>)}};

}  // namespace costate::cuda::mma
