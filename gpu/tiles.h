// What a block does with two tiles in shared memory: its part of their product, in plain multiply-adds or on tensor cores.
//
// Every element of a product is a chain over k in steps of `depth`, the same for every tile of a type: tiles may be chosen freely.
#pragma once

#include "gpu/elementwise.h"
#include "gpu/ptx.h"

namespace costate::cuda {

/// Stands for f32 whose products are TF32's, where f64, f32 and bf16 stand for themselves.
struct Tf32 {};
template <class M>
using Stored = std::conditional_t<std::is_same_v<M, Tf32>, float, M>;

/// m_ x n_ by threads that hold tm x tn each. A warp's threads stand 8 x 4.
template <class T, int m_, int n_, int tm, int tn>
struct FmaTile {
  using Element = T;
  using Sum = T;
  static constexpr int word = 16 / sizeof(T);  // elements of one load
  static constexpr int m = m_, n = n_, depth = 4 * word, rows = m / tm, columns = n / tn, threads = rows * columns;
  static constexpr int values = tm * tn, stages = threads < 256 ? 3 : 2;
  static constexpr int blocks = 512 / threads < 6 ? 512 / threads : 6;  // of one multiprocessor
  static constexpr int write = 50;  // terms that take as long as writing and reading the tile's sums

  template <bool a_along_k, bool b_along_k>
  __device__ static void multiply(const T* a, int a_pitch, const T* b, int b_pitch, T (&sum)[values]) {
    const int row = thread_row(), column = thread_column();
    constexpr int span = a_along_k || b_along_k ? 2 : 1;  // terms at a time: more would not fit the registers
#pragma unroll
    for (int k = 0; k < depth; k += span) {
      T left[tm][span], right[tn][span];
      take<a_along_k, rows>(a, a_pitch, row, k, left);
      take<b_along_k, columns>(b, b_pitch, column, k, right);
#pragma unroll
      for (int e = 0; e < span; ++e)
#pragma unroll
        for (int i = 0; i < tm; ++i)
#pragma unroll
          for (int j = 0; j < tn; ++j) sum[i * tn + j] += left[i][e] * right[j][e];
    }
  }

  /// f(row, column, first of `width` neighbours) for all this thread holds.
  template <bool a_along_k, bool b_along_k, class F>
  __device__ static void visit(const T (&sum)[values], const F& f) {
    constexpr int width = b_along_k ? 1 : word;
#pragma unroll
    for (int i = 0; i < tm; ++i)
#pragma unroll
      for (int j = 0; j < tn; j += width)
        f.template operator()<width>(place<a_along_k, rows>(thread_row(), i),
                                     place<b_along_k, columns>(thread_column(), j), sum + i * tn + j);
  }

 private:
  __device__ static int thread_row() { return warp() / (columns / 4) * 8 + lane() / 4; }
  __device__ static int thread_column() { return warp() % (columns / 4) * 4 + lane() % 4; }
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }

  /// Which row the i-th of thread `at` is: neighbouring threads read neighbouring banks.
  template <bool along_k, int places>
  __device__ static int place(int at, int i) {
    return along_k ? at + i * places : i / word * places * word + at * word + i % word;
  }
  /// out[i][e]: the thread's i-th row, term k + e.
  template <bool along_k, int places, int count, int span>
  __device__ static void take(const T* tile, int pitch, int at, int k, T (&out)[count][span]) {
    if constexpr (along_k) {
#pragma unroll
      for (int i = 0; i < count; ++i) {
        const auto p = *reinterpret_cast<const Pack<T, span>*>(tile + place<along_k, places>(at, i) * pitch + k);
#pragma unroll
        for (int e = 0; e < span; ++e) out[i][e] = p.v[e];
      }
    } else {
#pragma unroll
      for (int e = 0; e < span; ++e)
#pragma unroll
        for (int i = 0; i < count; i += word) {
          const auto p =
              *reinterpret_cast<const Pack<T, word>*>(tile + (k + e) * pitch + place<along_k, places>(at, i));
#pragma unroll
          for (int u = 0; u < word; ++u) out[i + u][e] = p.v[u];
        }
    }
  }
};

/// m_ x n_ by warps that hold wm x wn each, in products of 16 x 8 as tensor cores leave them.
template <int m_, int n_, int wm, int wn>
struct WarpTile {
  using Sum = float;
  static constexpr int m = m_, n = n_, depth = 32, threads = 32 * (m / wm) * (n / wn), values = wm * wn / 32;
  static constexpr int blocks = 512 / threads;  // of one multiprocessor
  static_assert(wn % 16 == 0, "products stand in pairs");
  static constexpr int write = 200;  // terms that take as long as writing and reading the tile's sums

  /// Lanes exchange with their neighbours, so that each has 4 columns side by side and rows are written in whole sectors.
  template <bool, bool, class F>
  __device__ static void visit(const float (&sum)[values], const F& f) {
    const bool odd = lane() % 2 == 1;
#pragma unroll
    for (int product = 0; product < values / 4; product += 2) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float four[4];
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float left = sum[4 * product + 2 * half + e], right = sum[4 * product + 4 + 2 * half + e],
                      got = __shfl_xor_sync(~0U, odd ? left : right, 1);
          four[e] = odd ? got : left, four[2 + e] = odd ? right : got;
        }
        f.template operator()<4>(warp_row() + product / (wn / 8) * 16 + half * 8 + lane() / 4,
                                 warp_column() + (product % (wn / 8) + odd) * 8 + lane() % 4 / 2 * 4, four);
      }
    }
  }

 protected:
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static int warp_row() { return static_cast<int>(threadIdx.x) / 32 / (n / wn) * wm; }
  __device__ static int warp_column() { return static_cast<int>(threadIdx.x) / 32 % (n / wn) * wn; }
};

/// In bf16, summed in f32.
template <int m_, int n_, int wm, int wn>
struct MmaTile : WarpTile<m_, n_, wm, wn> {
  using Base = WarpTile<m_, n_, wm, wn>;
  using Element = bf16;
  static constexpr int stages = 4;

  template <bool a_along_k, bool b_along_k>
  __device__ static void multiply(const bf16* a, int a_pitch, const bf16* b, int b_pitch, float (&sum)[Base::values]) {
    const int low = Base::lane() % 8, odd = Base::lane() / 8 % 2 * 8, high = Base::lane() / 16 * 8;
    auto* products = reinterpret_cast<float(*)[4]>(sum);
#pragma unroll
    for (int k = 0; k < Base::depth; k += 16) {
      std::uint32_t right[wn / 16][4];
#pragma unroll
      for (int j = 0; j < wn / 16; ++j) {
        const int n_at = Base::warp_column() + j * 16 + high + low, k_at = k + odd;
        if constexpr (b_along_k)
          load_matrices<false>(right[j], b + n_at * b_pitch + k_at);
        else
          load_matrices<true>(right[j], b + (k_at + low) * b_pitch + n_at - low);
      }
#pragma unroll
      for (int i = 0; i < wm / 16; ++i) {
        const int m_at = Base::warp_row() + i * 16 + odd, k_at = k + high;
        std::uint32_t left[4];
        if constexpr (a_along_k)
          load_matrices<false>(left, a + (m_at + low) * a_pitch + k_at);
        else
          load_matrices<true>(left, a + (k_at + low) * a_pitch + m_at);
#pragma unroll
        for (int j = 0; j < wn / 8; ++j)
          multiply_add(products[i * (wn / 8) + j], left, right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]);
      }
    }
  }
};

/// In f32 whose factors are rounded to TF32 as they are taken from shared memory.
template <int m_, int n_, int wm, int wn>
struct Tf32Tile : WarpTile<m_, n_, wm, wn> {
  using Base = WarpTile<m_, n_, wm, wn>;
  using Element = float;
  static constexpr int stages = 3;

  template <bool a_along_k, bool b_along_k>
  __device__ static void multiply(const float* a, int a_pitch, const float* b, int b_pitch,
                                  float (&sum)[Base::values]) {
    const int group = Base::lane() / 4, place = Base::lane() % 4;
    auto* products = reinterpret_cast<float(*)[4]>(sum);
#pragma unroll
    for (int k = 0; k < Base::depth; k += 8) {
      std::uint32_t right[wn / 8][2];
#pragma unroll
      for (int j = 0; j < wn / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          right[j][e] = take<b_along_k>(b, b_pitch, Base::warp_column() + j * 8 + group, k + place + e * 4);
#pragma unroll
      for (int i = 0; i < wm / 16; ++i) {
        std::uint32_t left[4];
#pragma unroll
        for (int e = 0; e < 4; ++e)
          left[e] = take<a_along_k>(a, a_pitch, Base::warp_row() + i * 16 + e % 2 * 8 + group, k + place + e / 2 * 4);
#pragma unroll
        for (int j = 0; j < wn / 8; ++j) multiply_add_tf32(products[i * (wn / 8) + j], left, right[j][0], right[j][1]);
      }
    }
  }

 private:
  template <bool along_k>
  __device__ static std::uint32_t take(const float* tile, int pitch, int row, int k) {
    return to_tf32(along_k ? tile[row * pitch + k] : tile[k * pitch + row]);
  }
};

}  // namespace costate::cuda
