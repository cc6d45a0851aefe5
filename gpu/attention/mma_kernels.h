// Fused attention in bf16 on tensor cores: the kernels.
#pragma once

#include "gpu/attention/mma.h"

namespace costate::cuda::mma {

template <class S>
__device__ void multiply_rows(Sums<S>& sum, const PerRow<S>& factor) {
  over(sum, [&](int m, int n, int i) { sum[m][n][i] *= factor[m][i / 2]; });
}

template <class S>
__global__ void __launch_bounds__(S::threads, S::blocks)
    forward(Lengths z, Tokens<const bf16> q, Tokens<const bf16> k, Tokens<const bf16> v, Tokens<bf16> y) {
  kernel_begins();
  bf16 *query = dynamic_shared<bf16>(), *keys = query + S::block_tile, *values = keys + 2 * S::tile;
  const Share s(z, z.queries, S::rows);
  const auto load = [&](int i, int slot) {
    load_tile<S>(keys + slot * S::tile, s.of(k, z.keys), i, z.keys, z);
    load_tile<S>(values + slot * S::tile, s.of(v, z.keys), i, z.keys, z);
  };
  load_rows<S>(query, s.of(q, z.queries), s.first, z.queries, z);
  load(0, 0);
  copies_end_group();
  arrive();
  const Left<S> queries(query);
  Softmax<S> softmax(z.scale);
  Sums<S> out = {};
  PerRow<S> factor;
  over_tiles((z.keys + S::columns - 1) / S::columns, load, [&](int i, int slot) {
    Scores<S> p;
    queries.times(p, keys + slot * S::tile);
    softmax.take(p, z.keys - i * S::columns, factor);
    multiply_rows<S>(out, factor);
    add_weighted<S>(out, p, values + slot * S::tile);
  });
#pragma unroll
  for (int m = 0; m < S::mt; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) factor[m][half] = 1 / sum_of_row(softmax.sum[m][half]);
  store_rows<S>(s.of(y, z.queries), s.first, z.queries, z, out, factor);
}

/// dq as in fma_kernels.h.
template <class S>
__global__ void __launch_bounds__(S::threads, S::blocks)
    query_vjp(Lengths z, Tokens<const bf16> q, Tokens<const bf16> k, Tokens<const bf16> v, Tokens<const bf16> g,
              Tokens<bf16> dq, Query<float>* kept) {
  kernel_begins();
  bf16 *query = dynamic_shared<bf16>(), *slope = query + S::block_tile, *keys = slope + S::block_tile,
       *values = keys + 2 * S::tile;
  const Share s(z, z.queries, S::rows);
  const auto load = [&](int i, int slot) {
    load_tile<S>(keys + slot * S::tile, s.of(k, z.keys), i, z.keys, z);
    load_tile<S>(values + slot * S::tile, s.of(v, z.keys), i, z.keys, z);
  };
  load_rows<S>(query, s.of(q, z.queries), s.first, z.queries, z);
  load_rows<S>(slope, s.of(g, z.queries), s.first, z.queries, z);
  load(0, 0);
  copies_end_group();
  arrive();
  const Left<S> queries(query), slopes(slope);
  Softmax<S> softmax(z.scale);
  Sums<S> by_slope = {}, by_weight = {};
  PerRow<S> about = {}, mean = {}, factor;
  over_tiles((z.keys + S::columns - 1) / S::columns, load, [&](int i, int slot) {
    Scores<S> p, dp;
    slopes.times(dp, values + slot * S::tile);
    queries.times(p, keys + slot * S::tile);
    softmax.take(p, z.keys - i * S::columns, factor);
    if (i == 0) {
      over(p, [&](int m, int n, int e) { about[m][e / 2] += p[m][n][e] * dp[m][n][e]; });
#pragma unroll
      for (int m = 0; m < S::mt; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          about[m][half] = sum_of_row(about[m][half]) / sum_of_row(softmax.sum[m][half]);
    }
#pragma unroll
    for (int m = 0; m < S::mt; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) mean[m][half] *= factor[m][half];
    over(p, [&](int m, int n, int e) {
      dp[m][n][e] = p[m][n][e] * (dp[m][n][e] - about[m][e / 2]);
      mean[m][e / 2] += dp[m][n][e];
    });
    multiply_rows<S>(by_weight, factor);
    multiply_rows<S>(by_slope, factor);
    add_weighted<S, 2>({&by_weight, &by_slope}, {&p, &dp}, keys + slot * S::tile);
  });
#pragma unroll
  for (int m = 0; m < S::mt; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float norm = 1 / sum_of_row(softmax.sum[m][half]);
      const int row = s.first + row_of<S>(m, 2 * half);
      mean[m][half] = sum_of_row(mean[m][half]) * norm;
      factor[m][half] = norm * static_cast<float>(z.scale);
      if (lane() % 4 == 0 && row < z.queries)
        kept[std::int64_t{s.problem} * z.queries + row] = {softmax.largest[m][half] * softmax.scale, norm,
                                                           about[m][half] + mean[m][half]};
    }
  over(by_slope, [&](int m, int n, int e) { by_slope[m][n][e] -= mean[m][e / 2] * by_weight[m][n][e]; });
  store_rows<S>(s.of(dq, z.queries), s.first, z.queries, z, by_slope, factor);
}

/// Rows are keys, columns queries.
template <class S>
__global__ void __launch_bounds__(S::threads, S::blocks)
    key_vjp(Lengths z, Tokens<const bf16> q, Tokens<const bf16> k, Tokens<const bf16> v, Tokens<const bf16> g,
            const Query<float>* kept, Tokens<bf16> dk, Tokens<bf16> dv) {
  kernel_begins();
  bf16 *key = dynamic_shared<bf16>(), *value = key + S::block_tile, *queries = value + S::block_tile,
       *slopes = queries + 2 * S::tile;
  auto* about = reinterpret_cast<Query<float>*>(slopes + 2 * S::tile);
  const Share s(z, z.keys, S::rows);
  const auto load = [&](int i, int slot) {
    load_tile<S>(queries + slot * S::tile, s.of(q, z.queries), i, z.queries, z);
    load_tile<S>(slopes + slot * S::tile, s.of(g, z.queries), i, z.queries, z);
    const int column = static_cast<int>(threadIdx.x), row = i * S::columns + column;
    if (column < S::columns)
      about[slot * S::columns + column] =
          row < z.queries ? kept[std::int64_t{s.problem} * z.queries + row] : Query<float>{INFINITY, 0, 0};
  };
  load_rows<S>(key, s.of(k, z.keys), s.first, z.keys, z);
  load_rows<S>(value, s.of(v, z.keys), s.first, z.keys, z);
  load(0, 0);
  copies_end_group();
  arrive();
  const Left<S> of_keys(key), of_values(value);
  Sums<S> keys_out = {}, values_out = {};
  const float scale = Softmax<S>(z.scale).scale;
  over_tiles((z.queries + S::columns - 1) / S::columns, load, [&](int, int slot) {
    Scores<S> p, dp;
    of_keys.times(p, queries + slot * S::tile);
    of_values.times(dp, slopes + slot * S::tile);
    over(p, [&](int m, int n, int e) {
      const Query<float> a = about[slot * S::columns + column_of(n, e)];
      p[m][n][e] = power_of_two(p[m][n][e] * scale - a.largest) * a.factor;
      dp[m][n][e] = p[m][n][e] * (dp[m][n][e] - a.mean);
    });
    add_weighted<S>(values_out, p, slopes + slot * S::tile);
    add_weighted<S>(keys_out, dp, queries + slot * S::tile);
  });
  PerRow<S> factor;
  for (auto& of : factor) of[0] = of[1] = static_cast<float>(z.scale);
  store_rows<S>(s.of(dk, z.keys), s.first, z.keys, z, keys_out, factor);
  for (auto& of : factor) of[0] = of[1] = 1;
  store_rows<S>(s.of(dv, z.keys), s.first, z.keys, z, values_out, factor);
}

/// Bytes of shared memory: `held` tiles of the block's rows, two slots of two tiles of columns.
template <class S>
constexpr std::size_t shared_of(std::size_t held) {
  return sizeof(bf16) * (held * S::block_tile + 4 * S::tile);
}

template <class Forward, class Few, class Vjp>
constexpr FusedKernels<bf16> kernels = {
    {forward<Forward>, Forward::rows, Forward::threads, shared_of<Forward>(1)},
    {forward<Few>, Few::rows, Few::threads, shared_of<Few>(1)},
    {query_vjp<Vjp>, Vjp::rows, Vjp::threads, shared_of<Vjp>(2)},
    {key_vjp<Vjp>, Vjp::rows, Vjp::threads, shared_of<Vjp>(2) + 2 * Vjp::columns * sizeof(Query<float>)}};

}  // namespace costate::cuda::mma
