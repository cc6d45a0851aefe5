// Fused attention in plain multiply-adds: the kernels. A tile is loaded while the block works on the one before it.
#pragma once

#include "gpu/attention/fma.h"

namespace costate::cuda::fma {

template <class S, class T = typename S::T>
__device__ void multiply_rows(Sums<S>& sum, const T (&factor)[S::tm]) {
#pragma unroll
  for (int i = 0; i < S::tm; ++i)
#pragma unroll
    for (int n = 0; n < S::dn; ++n) sum[i][n] *= factor[i];
}

template <class S, class T = typename S::T>
__global__ void __launch_bounds__(S::threads, S::blocks)
    forward(Lengths z, Tokens<const T> q, Tokens<const T> k, Tokens<const T> v, Tokens<T> y) {
  kernel_begins();
  T *query = dynamic_shared<T>(), *keys = query + S::block_tile, *values = keys + S::tile,
    *room = values + S::tile + S::warp() * S::weights;
  const Share s(z, z.queries, S::rows);
  const int tiles = (z.keys + S::columns - 1) / S::columns;
  Softmax<S> softmax;
  Sums<S> out = {};
  T factor[S::tm];
  load_rows<S>(query, s.of(q, z.queries), s.first, z.queries, z);
  load_tile<S>(keys, s.of(k, z.keys), 0, z.keys, z);
  copies_end_group();
  copies_wait<0>();
  scale_rows<S>(query, z.scale);
  for (int i = 0; i < tiles; ++i) {
    arrive();
    load_tile<S>(values, s.of(v, z.keys), i, z.keys, z);
    copies_end_group();
    Scores<S> p;
    rows_by_rows<S>(p, query, keys);
    softmax.take(p, z.keys - i * S::columns, factor);
    arrive();
    if (i + 1 < tiles) load_tile<S>(keys, s.of(k, z.keys), i + 1, z.keys, z);
    copies_end_group();
    multiply_rows<S>(out, factor);
    add_weighted<S>(out, p, values, room);
  }
#pragma unroll
  for (int r = 0; r < S::tm; ++r) factor[r] = 1 / sum_of_row(softmax.sum[r]);
  store_rows<S>(s.of(y, z.queries), s.first, z.queries, z, out, factor);
}

/// With P the weights, dP = g v^T and any c:  dq = scale (sum P (dP - c) k - sum P (dP - c) sum P k), so that one round over the keys
/// is enough. c, the mean of dP over the first tile, leaves the second term small.
template <class S, class T = typename S::T>
__global__ void __launch_bounds__(S::threads, S::blocks)
    query_vjp(Lengths z, Tokens<const T> q, Tokens<const T> k, Tokens<const T> v, Tokens<const T> g, Tokens<T> dq,
              Query<T>* kept) {
  kernel_begins();
  T *query = dynamic_shared<T>(), *slope = query + S::block_tile, *keys = slope + S::block_tile,
    *values = keys + S::tile, *room = values + S::tile + S::warp() * S::weights;
  const Share s(z, z.queries, S::rows);
  const int tiles = (z.keys + S::columns - 1) / S::columns;
  Softmax<S> softmax;
  T about[S::tm] = {}, mean[S::tm] = {}, factor[S::tm];
  Sums<S> by_slope = {}, by_weight = {};
  load_rows<S>(query, s.of(q, z.queries), s.first, z.queries, z);
  load_rows<S>(slope, s.of(g, z.queries), s.first, z.queries, z);
  load_tile<S>(values, s.of(v, z.keys), 0, z.keys, z);
  copies_end_group();
  copies_wait<0>();
  scale_rows<S>(query, z.scale);
  for (int i = 0; i < tiles; ++i) {
    arrive();
    load_tile<S>(keys, s.of(k, z.keys), i, z.keys, z);
    copies_end_group();
    Scores<S> p, dp;
    rows_by_rows<S>(dp, slope, values);
    arrive();
    if (i + 1 < tiles) load_tile<S>(values, s.of(v, z.keys), i + 1, z.keys, z);
    copies_end_group();
    rows_by_rows<S>(p, query, keys);
    softmax.take(p, z.keys - i * S::columns, factor);
    if (i == 0) {
#pragma unroll
      for (int r = 0; r < S::tm; ++r) {
#pragma unroll
        for (int j = 0; j < S::tn; ++j) about[r] += p[r][j] * dp[r][j];
        about[r] = sum_of_row(about[r]) / sum_of_row(softmax.sum[r]);
      }
    }
    multiply_rows<S>(by_weight, factor);
    multiply_rows<S>(by_slope, factor);
#pragma unroll
    for (int r = 0; r < S::tm; ++r) {
      mean[r] *= factor[r];
#pragma unroll
      for (int j = 0; j < S::tn; ++j) {
        dp[r][j] = p[r][j] * (dp[r][j] - about[r]);
        mean[r] += dp[r][j];
      }
    }
    add_weighted<S>(by_weight, p, keys, room);
    add_weighted<S>(by_slope, dp, keys, room);
  }
#pragma unroll
  for (int r = 0; r < S::tm; ++r) {
    const T norm = 1 / sum_of_row(softmax.sum[r]), average = sum_of_row(mean[r]) * norm;
    const int row = s.first + S::row(r);
    if (S::thread_column() == 0 && row < z.queries)
      kept[std::int64_t{s.problem} * z.queries + row] = {softmax.largest[r], norm, about[r] + average};
    factor[r] = norm * static_cast<T>(z.scale);
#pragma unroll
    for (int n = 0; n < S::dn; ++n) by_slope[r][n] -= average * by_weight[r][n];
  }
  store_rows<S>(s.of(dq, z.queries), s.first, z.queries, z, by_slope, factor);
}

/// Rows are keys, columns queries.
template <class S, class T = typename S::T>
__global__ void __launch_bounds__(S::threads, S::blocks)
    key_vjp(Lengths z, Tokens<const T> q, Tokens<const T> k, Tokens<const T> v, Tokens<const T> g, const Query<T>* kept,
            Tokens<T> dk, Tokens<T> dv) {
  kernel_begins();
  T *key = dynamic_shared<T>(), *value = key + S::block_tile, *queries = value + S::block_tile,
    *slopes = queries + S::tile, *room = slopes + S::tile + S::warp() * S::weights;
  auto* about = reinterpret_cast<Query<T>*>(slopes + S::tile + S::warps * S::weights);
  const Share s(z, z.keys, S::rows);
  const int tiles = (z.queries + S::columns - 1) / S::columns;
  Sums<S> keys_out = {}, values_out = {};
  load_rows<S>(key, s.of(k, z.keys), s.first, z.keys, z);
  load_rows<S>(value, s.of(v, z.keys), s.first, z.keys, z);
  load_tile<S>(queries, s.of(q, z.queries), 0, z.queries, z);
  copies_end_group();
  copies_wait<0>();
  scale_rows<S>(key, z.scale);
  for (int i = 0; i < tiles; ++i) {
    arrive();
    load_tile<S>(slopes, s.of(g, z.queries), i, z.queries, z);
    copies_end_group();
    for (int c = static_cast<int>(threadIdx.x); c < S::columns; c += S::threads) {
      const int row = i * S::columns + c;
      about[c] = row < z.queries ? kept[std::int64_t{s.problem} * z.queries + row] : Query<T>{INFINITY, 0, 0};
    }
    Scores<S> p, dp;
    rows_by_rows<S>(p, key, queries);
    arrive();
    rows_by_rows<S>(dp, value, slopes);
#pragma unroll
    for (int j = 0; j < S::tn; ++j) {
      const Query<T> a = about[S::column(j)];
#pragma unroll
      for (int r = 0; r < S::tm; ++r) {
        p[r][j] = power_of_two(p[r][j] - a.largest) * a.factor;
        dp[r][j] = p[r][j] * (dp[r][j] - a.mean);
      }
    }
    add_weighted<S>(keys_out, dp, queries, room);
    __syncthreads();
    if (i + 1 < tiles) load_tile<S>(queries, s.of(q, z.queries), i + 1, z.queries, z);
    copies_end_group();
    add_weighted<S>(values_out, p, slopes, room);
  }
  T factor[S::tm];
#pragma unroll
  for (int r = 0; r < S::tm; ++r) factor[r] = static_cast<T>(z.scale);
  store_rows<S>(s.of(dk, z.keys), s.first, z.keys, z, keys_out, factor);
#pragma unroll
  for (int r = 0; r < S::tm; ++r) factor[r] = 1;
  store_rows<S>(s.of(dv, z.keys), s.first, z.keys, z, values_out, factor);
}

/// Bytes of shared memory: `held` tiles of the block's rows, two tiles of columns, the warps' weights, `more` numbers.
template <class S>
constexpr std::size_t shared_of(std::size_t held, std::size_t more = 0) {
  return sizeof(typename S::T) * (held * S::block_tile + 2 * S::tile + S::warps * S::weights + more);
}

/// The kernels in the shapes that registers and shared memory have room for.
template <class Forward, class Few, class Vjp, class T = typename Forward::T>
constexpr FusedKernels<T> kernels = {{forward<Forward>, Forward::rows, Forward::threads, shared_of<Forward>(1)},
                                     {forward<Few>, Few::rows, Few::threads, shared_of<Few>(1)},
                                     {query_vjp<Vjp>, Vjp::rows, Vjp::threads, shared_of<Vjp>(2)},
                                     {key_vjp<Vjp>, Vjp::rows, Vjp::threads, shared_of<Vjp>(2, 3 * Vjp::columns)}};

/// Few and long blocks, as of one head, are slower than products, whose blocks are many.
inline bool pays(const Lengths& z) {
  return std::int64_t{z.heads} * z.queries >= 4096 || std::int64_t{z.keys} * z.width <= 16384;
}

}  // namespace costate::cuda::fma
