// Fused attention in plain multiply-adds, for f32 and f64.
//
// A warp is 4 x 8 threads over its own rows and all columns of a tile of scores, so that softmax and weights stay within the warp; a
// thread holds tm x tn scores and tm x d / 8 sums. Lanes stand so that 16 of them read at most 128 bytes of shared memory at once.
#pragma once

#include <cmath>

#include "gpu/attention/heads.h"

namespace costate::cuda::fma {

/// Of a block for heads of up to d channels; `blocks` of one multiprocessor.
template <class T_, int d_, int tm_, int tn_, int warps_, int blocks_>
struct Shape {
  using T = T_;
  static constexpr int word = 16 / sizeof(T), d = d_, tm = tm_, tn = tn_, warps = warps_, blocks = blocks_;
  static constexpr int threads = 32 * warps, rows = 4 * tm * warps, columns = 8 * tn;
  static constexpr int pitch = d + word;  // an odd number of words: neighbouring rows lie in different banks
  static constexpr int dn = d / 8, packed = dn / word * word, single = dn - packed;
  static constexpr int block_tile = rows * pitch, tile = columns * pitch;
  static constexpr int step = 16, step_pitch = 4 * tm + 2 * word;  // columns of weights that a warp exchanges at a time
  static constexpr int weights = step * step_pitch;                // of a warp
  static_assert(d % (2 * word) == 0 && tm % word == 0 && tn % 2 == 0 && single < 3);

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }
  __device__ static int thread_row() { return lane() % 2 + lane() / 16 * 2; }
  __device__ static int thread_column() { return lane() / 2 % 8; }

  /// Where the thread's i-th row, j-th column of scores, n-th channel stand in the block's tiles.
  __device__ static int row(int i) { return warp() * 4 * tm + i / word * 4 * word + thread_row() * word + i % word; }
  __device__ static int column(int j) { return j * 8 + thread_column(); }
  __device__ static int channel(int n) {
    return n < packed ? n / word * 8 * word + thread_column() * word + n % word
                      : packed * 8 + thread_column() * single + n - packed;
  }
};

template <class S>
using Scores = typename S::T[S::tm][S::tn];
template <class S>
using Sums = typename S::T[S::tm][S::dn];

template <int n, class T>
__device__ Pack<T, n> load_pack(const T* p) {
  return *reinterpret_cast<const Pack<T, n>*>(p);
}

/// s = the thread's rows of a times its columns, which are rows of b.
template <class S, class T = typename S::T>
__device__ void rows_by_rows(Scores<S>& s, const T* a, const T* b) {
  a += S::row(0) * S::pitch;
  b += S::column(0) * S::pitch;
#pragma unroll
  for (int i = 0; i < S::tm; ++i)
#pragma unroll
    for (int j = 0; j < S::tn; ++j) s[i][j] = 0;
#pragma unroll 2
  for (int k = 0; k < S::d; k += S::word) {
    Pack<T, S::word> left[S::tm];
#pragma unroll
    for (int i = 0; i < S::tm; ++i)
      left[i] = load_pack<S::word>(a + (i / S::word * 4 * S::word + i % S::word) * S::pitch + k);
#pragma unroll
    for (int j = 0; j < S::tn; ++j) {
      const auto right = load_pack<S::word>(b + j * 8 * S::pitch + k);
#pragma unroll
      for (int e = 0; e < S::word; ++e)
#pragma unroll
        for (int i = 0; i < S::tm; ++i) s[i][j] += left[i].v[e] * right.v[e];
    }
  }
}

/// The thread's channels of a row of a tile.
template <class S, class T = typename S::T>
__device__ void take_channels(T (&out)[S::dn], const T* row) {
#pragma unroll
  for (int n = 0; n < S::packed; n += S::word) {
    const auto p = load_pack<S::word>(row + S::channel(n));
#pragma unroll
    for (int e = 0; e < S::word; ++e) out[n + e] = p.v[e];
  }
  if constexpr (S::single > 0) {
    const auto p = load_pack<S::single>(row + S::channel(S::packed));
#pragma unroll
    for (int e = 0; e < S::single; ++e) out[S::packed + e] = p.v[e];
  }
}

/// sum += w times the tile b. `room`: the warp's, for `weights` numbers.
template <class S, class T = typename S::T>
__device__ void add_weighted(Sums<S>& sum, const Scores<S>& w, const T* b, T* room) {
  T* mine = room + S::thread_row() * S::word;
#pragma unroll
  for (int j = 0; j < S::tn; j += 2) {
    __syncwarp();
#pragma unroll
    for (int u = 0; u < 2; ++u)
#pragma unroll
      for (int i = 0; i < S::tm; i += S::word) {
        Pack<T, S::word> p;
#pragma unroll
        for (int e = 0; e < S::word; ++e) p.v[e] = w[i + e][j + u];
        *reinterpret_cast<Pack<T, S::word>*>(mine + S::column(u) * S::step_pitch + i * 4) = p;
      }
    __syncwarp();
#pragma unroll(S::tm* S::dn > 40 ? 4 : 8)
    for (int k = 0; k < S::step; ++k) {
      T left[S::tm], right[S::dn];
#pragma unroll
      for (int i = 0; i < S::tm; i += S::word) {
        const auto p = load_pack<S::word>(mine + k * S::step_pitch + i * 4);
#pragma unroll
        for (int e = 0; e < S::word; ++e) left[i + e] = p.v[e];
      }
      take_channels<S>(right, b + (j * 8 + k) * S::pitch);
#pragma unroll
      for (int i = 0; i < S::tm; ++i)
#pragma unroll
        for (int n = 0; n < S::dn; ++n) sum[i][n] += left[i] * right[n];
    }
  }
}

/// Over the eight lanes that share a row.
template <class T, class F>
__device__ T of_row(T value, const F& f) {
#pragma unroll
  for (int apart = 2; apart <= 8; apart *= 2) value = f(value, __shfl_xor_sync(~0U, value, apart));
  return value;
}
template <class T>
__device__ T sum_of_row(T value) {
  return of_row(value, [](T a, T b) { return a + b; });
}

/// A running softmax of the thread's rows, each lane with the sum of its own columns. `take` turns scores into weights, none from
/// column `count` on, and `factor` is what earlier sums of weights are to be multiplied by.
template <class S, class T = typename S::T>
struct Softmax {
  T largest[S::tm], sum[S::tm];

  __device__ Softmax() {
#pragma unroll
    for (int i = 0; i < S::tm; ++i) largest[i] = -INFINITY, sum[i] = 0;
  }

  __device__ void take(Scores<S>& s, int count, T (&factor)[S::tm]) {
    mask(s, count);
#pragma unroll
    for (int i = 0; i < S::tm; ++i) {
      T most = largest[i];
#pragma unroll
      for (int j = 0; j < S::tn; ++j) most = std::fmax(most, s[i][j]);
      most = of_row(most, [](T a, T b) { return std::fmax(a, b); });
      factor[i] = power_of_two(largest[i] - most);
      largest[i] = most;
      sum[i] *= factor[i];
#pragma unroll
      for (int j = 0; j < S::tn; ++j) {
        s[i][j] = power_of_two(s[i][j] - most);
        sum[i] += s[i][j];
      }
    }
  }

  __device__ static void mask(Scores<S>& s, int count) {
    if (count >= S::columns) [[likely]]
      return;
#pragma unroll
    for (int j = 0; j < S::tn; ++j)
#pragma unroll
      for (int i = 0; i < S::tm; ++i)
        if (S::column(j) >= count) s[i][j] = -INFINITY;
  }
};

/// Multiplies what this thread has copied of the block's rows: so scores need no factor.
template <class S, class T = typename S::T>
__device__ void scale_rows(T* rows, double scale) {
  const T factor = static_cast<T>(scale * log2_e);
  over_words<S::rows, S::d / S::word, S::threads>([&](int row, int column) {
    auto& p = *reinterpret_cast<Pack<T, S::word>*>(rows + row * S::pitch + column * S::word);
#pragma unroll
    for (int e = 0; e < S::word; ++e) p.v[e] *= factor;
  });
}

/// Writes sums, row i times factor[i], to those of the block's rows that are before `count`.
template <class S, class T = typename S::T>
__device__ void store_rows(const Tokens<T>& head, int first, int count, const Lengths& z, const Sums<S>& sum,
                           const T (&factor)[S::tm]) {
#pragma unroll
  for (int i = 0; i < S::tm; ++i) {
    const int row = first + S::row(i);
    if (row >= count) continue;
    T* to = head.data + row * head.token;
#pragma unroll
    for (int n = 0; n < S::packed; n += S::word) {
      Pack<T, S::word> p;
#pragma unroll
      for (int e = 0; e < S::word; ++e) p.v[e] = sum[i][n + e] * factor[i];
      if (S::channel(n) < z.width) *reinterpret_cast<Pack<T, S::word>*>(to + S::channel(n)) = p;
    }
#pragma unroll
    for (int n = S::packed; n < S::dn; ++n)
      if (S::channel(n) < z.width) to[S::channel(n)] = sum[i][n] * factor[i];
  }
}

template <class S, class T = typename S::T>
__device__ void load_rows(T* to, const Tokens<const T>& head, int first, int count, const Lengths& z) {
  load_tokens<S::rows, S::d, S::pitch, S::threads>(to, head, first, count, z);
}
template <class S, class T = typename S::T>
__device__ void load_tile(T* to, const Tokens<const T>& head, int i, int count, const Lengths& z) {
  load_tokens<S::columns, S::d, S::pitch, S::threads>(to, head, i * S::columns, count, z);
}

/// All that is under way has come, for all threads; what was read before may be written over.
__device__ inline void arrive() {
  copies_wait<0>();
  __syncthreads();
}

}  // namespace costate::cuda::fma
