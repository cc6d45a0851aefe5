// Fused attention in bf16 on tensor cores: what a warp does.
//
// A warp has mt times 16 of the block's rows and all n columns of a tile of scores: what it loads of the tile serves mt products of
// 16 x 8. Scores stay in the registers that products leave them in, which is where the next product wants its left factor.
#pragma once

#include <cmath>

#include "gpu/attention/heads.h"

namespace costate::cuda::mma {

/// Of a block for heads of up to d channels; `blocks` of one multiprocessor. held: the left factors of scores stay in registers.
template <int d_, int mt_, int n_, int blocks_, bool held_>
struct Shape {
  using T = bf16;
  static constexpr int d = d_, mt = mt_, columns = n_, blocks = blocks_, warps = 4, threads = 32 * warps;
  static constexpr bool held = held_;
  static constexpr int rows = 16 * mt * warps, depth = (d + 15) / 16 * 16;
  static constexpr int pitch = depth + 8;  // an odd number of words of 16 bytes, against bank conflicts
  static constexpr int block_tile = rows * pitch, tile = columns * pitch;
  static_assert(d % 8 == 0 && columns % 16 == 0);
};

template <class S>
using Scores = float[S::mt][S::columns / 8][4];
template <class S>
using Sums = float[S::mt][S::d / 8][4];
template <class S>
using PerRow = float[S::mt][2];  ///< of the lane's rows

__device__ inline int lane() { return static_cast<int>(threadIdx.x) % 32; }
__device__ inline int low() { return lane() % 8; }
__device__ inline int odd() { return lane() / 8 % 2 * 8; }
__device__ inline int high() { return lane() / 16 * 8; }

/// Row of the block that number i of the warp's m-th product of 16 x 8 stands in; column of the tile, in the n-th.
template <class S>
__device__ int row_of(int m, int i) {
  return static_cast<int>(threadIdx.x) / 32 * 16 * S::mt + m * 16 + lane() / 4 + i / 2 * 8;
}
__device__ inline int column_of(int n, int i) { return n * 8 + lane() % 4 * 2 + i % 2; }

/// f(m, n, i) for all that a lane holds.
template <int mt, int count, class F>
__device__ void over(const float (&)[mt][count][4], const F& f) {
#pragma unroll
  for (int m = 0; m < mt; ++m)
#pragma unroll
    for (int n = 0; n < count; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) f(m, n, i);
}

/// The warp's rows of a tile as left factors, from column k on.
template <class S>
__device__ void load_left(std::uint32_t (&out)[S::mt][4], const bf16* tile, int k) {
#pragma unroll
  for (int m = 0; m < S::mt; ++m)
    load_matrices<false>(
        out[m],
        tile + (static_cast<int>(threadIdx.x) / 32 * 16 * S::mt + m * 16 + odd() + low()) * S::pitch + k + high());
}

/// The warp's rows of one of the block's tiles, in registers or left where they are. To be made when the tile has come.
template <class S>
class Left {
 public:
  __device__ explicit Left(const bf16* tile) : tile_(tile) {
    if constexpr (S::held) {
#pragma unroll
      for (int k = 0; k < S::depth / 16; ++k) load_left<S>(held_[k], tile, k * 16);
    }
  }
  /// s = these rows times all rows of b.
  __device__ void times(Scores<S>& s, const bf16* b) const {
    step<true>(s, b, 0);
#pragma unroll
    for (int k = 1; k < S::depth / 16; ++k) step<false>(s, b, k);
  }

 private:
  template <bool first>
  __device__ void step(Scores<S>& s, const bf16* b, int k) const {
    std::uint32_t left[S::mt][4];
    if constexpr (S::held) {
#pragma unroll
      for (int m = 0; m < S::mt; ++m)
#pragma unroll
        for (int e = 0; e < 4; ++e) left[m][e] = held_[k][m][e];
    } else {
      load_left<S>(left, tile_, k * 16);
    }
#pragma unroll
    for (int j = 0; j < S::columns / 16; ++j) {
      std::uint32_t right[4];
      load_matrices<false>(right, b + (j * 16 + high() + low()) * S::pitch + k * 16 + odd());
#pragma unroll
      for (int m = 0; m < S::mt; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          if constexpr (first)
            multiply(s[m][2 * j + half], left[m], right[2 * half], right[2 * half + 1]);
          else
            multiply_add(s[m][2 * j + half], left[m], right[2 * half], right[2 * half + 1]);
        }
    }
  }

  const bf16* tile_;
  std::uint32_t held_[S::held ? S::depth / 16 : 1][S::mt][4];
};

/// A weight's registers as left factors: columns 16 k to 16 k + 15.
template <class S>
__device__ void left_of(std::uint32_t (&out)[S::mt][4], const Scores<S>& w, int k) {
#pragma unroll
  for (int m = 0; m < S::mt; ++m)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float* pair = w[m][2 * k + e / 2] + e % 2 * 2;
      out[m][e] = bf16_pair(pair[0], pair[1]);
    }
}

/// sum += w times the tile b, for each of `count` pairs of these.
template <class S, int count>
__device__ void add_weighted(Sums<S>* const (&sums)[count], const Scores<S>* const (&weights)[count], const bf16* b) {
#pragma unroll
  for (int k = 0; k < S::columns / 16; ++k) {
    std::uint32_t left[count][S::mt][4];
#pragma unroll
    for (int c = 0; c < count; ++c) left_of<S>(left[c], *weights[c], k);
#pragma unroll
    for (int j = 0; j < S::depth / 16; ++j) {
      std::uint32_t right[4];
      load_matrices<true>(right, b + (k * 16 + odd() + low()) * S::pitch + j * 16 + high());
#pragma unroll
      for (int c = 0; c < count; ++c)
#pragma unroll
        for (int m = 0; m < S::mt; ++m) {
          multiply_add((*sums[c])[m][2 * j], left[c][m], right[0], right[1]);
          if (2 * j + 1 < S::d / 8) multiply_add((*sums[c])[m][2 * j + 1], left[c][m], right[2], right[3]);
        }
    }
  }
}
template <class S>
__device__ void add_weighted(Sums<S>& sum, const Scores<S>& w, const bf16* b) {
  add_weighted<S, 1>({&sum}, {&w}, b);
}

/// Over the four lanes that share a row.
template <class F>
__device__ float of_row(float value, const F& f) {
  value = f(value, __shfl_xor_sync(~0U, value, 1));
  return f(value, __shfl_xor_sync(~0U, value, 2));
}
__device__ inline float sum_of_row(float value) {
  return of_row(value, [](float a, float b) { return a + b; });
}

/// A running softmax of the lane's rows, each lane with the sum of its own columns. `take` turns products into weights
/// 2^(scale (s - largest)), none from column `count` on, and `factor` is what earlier sums of weights are to be multiplied by.
template <class S>
struct Softmax {
  float scale;  ///< positive; with log2 e in it
  PerRow<S> largest, sum;

  __device__ explicit Softmax(double scale) : scale(static_cast<float>(scale * log2_e)) {
#pragma unroll
    for (int m = 0; m < S::mt; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) largest[m][half] = -INFINITY, sum[m][half] = 0;
  }

  __device__ void take(Scores<S>& s, int count, PerRow<S>& factor) {
    if (count < S::columns) [[unlikely]]
      over(s, [&](int m, int n, int i) {
        if (column_of(n, i) >= count) s[m][n][i] = -INFINITY;
      });
#pragma unroll
    for (int m = 0; m < S::mt; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float most = largest[m][half];
#pragma unroll
        for (int n = 0; n < S::columns / 8; ++n)
          most = std::fmax(most, std::fmax(s[m][n][2 * half], s[m][n][2 * half + 1]));
        most = of_row(most, [](float a, float b) { return std::fmax(a, b); });
        const float shift = most * scale;
        factor[m][half] = power_of_two(largest[m][half] * scale - shift);
        largest[m][half] = most;
        sum[m][half] *= factor[m][half];
#pragma unroll
        for (int n = 0; n < S::columns / 8; ++n)
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; ++i) {
            s[m][n][i] = power_of_two(s[m][n][i] * scale - shift);
            sum[m][half] += s[m][n][i];
          }
      }
  }
};

/// Writes the warp's rows, row i times its factor.
template <class S>
__device__ void store_rows(const Tokens<bf16>& head, int first, int count, const Lengths& z, const Sums<S>& sum,
                           const PerRow<S>& factor) {
  over(sum, [&](int m, int n, int i) {
    const int row = first + row_of<S>(m, i), column = column_of(n, i);
    if (i % 2 == 0 && row < count && column < z.width)
      *reinterpret_cast<std::uint32_t*>(head.data + row * head.token + column) =
          bf16_pair(sum[m][n][i] * factor[m][i / 2], sum[m][n][i + 1] * factor[m][i / 2]);
  });
}

template <class S>
__device__ void load_rows(bf16* to, const Tokens<const bf16>& head, int first, int count, const Lengths& z) {
  load_tokens<S::rows, S::depth, S::pitch, S::threads>(to, head, first, count, z);
}
template <class S>
__device__ void load_tile(bf16* to, const Tokens<const bf16>& head, int i, int count, const Lengths& z) {
  load_tokens<S::columns, S::depth, S::pitch, S::threads>(to, head, i * S::columns, count, z);
}

/// All that is under way has come, for all threads; what was read before may be written over.
__device__ inline void arrive() {
  copies_wait<0>();
  __syncthreads();
}

/// Runs step(i, slot) for 0 <= i < steps, each tile loaded while the block works on the one before it; tile 0 is under way.
template <class Load, class Step>
__device__ void over_tiles(int steps, const Load& load, const Step& step) {
  for (int i = 0; i < steps; ++i) {
    arrive();
    if (i + 1 < steps) load(i + 1, (i + 1) % 2);
    copies_end_group();
    step(i, i % 2);
  }
}

}  // namespace costate::cuda::mma
