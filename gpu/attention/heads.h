// Attention without the matrix of scores: what its kernels share, and how they are launched. A block goes over the keys (or the
// queries) by tiles and keeps the softmax's running maximum and sum (Dao 2023, "FlashAttention-2", algorithms 1 and 2).
//
// The vjp is two kernels, so that no two blocks add to one place: rows of queries (softmax, mean slope and dq), then rows of keys
// (dk and dv).
#pragma once

#include <numbers>

#include "core/kernels/attention.h"
#include "gpu/elementwise.h"
#include "gpu/ptx.h"

namespace costate::cuda {

struct Lengths {
  int queries, keys, heads, width;
  double scale;
};

constexpr double log2_e = std::numbers::log2e;  // scores are in units of log 2

/// What the vjp keeps of a query: P = 2^(score - largest) factor, and the mean of g v^T under P.
template <class C>
struct Query {
  C largest, factor, mean;
};

/// What a block works on: `rows` of `count` tokens of a head.
struct Share {
  int first, problem, sample, head;
  __device__ Share(const Lengths& z, int count, int rows) {
    const int tiles = (count + rows - 1) / rows, block = static_cast<int>(blockIdx.x);
    problem = block / tiles;
    first = block % tiles * rows;
    sample = problem / z.heads;
    head = problem % z.heads;
  }
  /// The head's first token, of `count`.
  template <class T>
  __device__ Tokens<T> of(const Tokens<T>& x, int count) const {
    return {x.data + sample * (count * x.token) + head * x.head, x.token, 0};
  }
};

/// Whether all begin with a word of 16 bytes wherever a head does.
template <class T>
bool in_words(const Tokens<T>& x) {
  constexpr std::int64_t n = 16 / sizeof(T);
  return aligned_16(x.data) && x.token % n == 0 && x.head % n == 0;
}

/// f(row, column) for all words of `rows` rows that are this thread's. Its column is always the same, which spares divisions.
template <int rows, int words, int threads, class F>
__device__ void over_words(const F& f) {
  constexpr int step = threads / words;
  const int thread = static_cast<int>(threadIdx.x), column = thread % words;
  if (thread >= step * words) return;
#pragma unroll
  for (int i = 0; i < rows; i += step)
    if (const int row = i + thread / words; rows % step == 0 || row < rows) f(row, column);
}

/// Tokens [first, first + rows) of a head to shared memory, zeros from token `count` and from `width` on; d columns.
template <int rows, int d, int pitch, int threads, class T>
__device__ void load_tokens(T* to, const Tokens<const T>& x, int first, int count, const Lengths& z) {
  constexpr int word = 16 / sizeof(T);
  const int last = count - 1 - first;
  const T* head = x.data + first * x.token;
  over_words<rows, d / word, threads>([&](int row, int at) {
    const int column = at * word;
    const T* from = head + (column < z.width ? column : 0) + (row < last ? row : last) * x.token;
    copy_16(to + row * pitch + column, from, row <= last && column < z.width);
  });
}

/// A kernel with its shape. `shared` is in bytes.
template <class... P>
struct Compiled {
  void (*kernel)(P...);
  int rows, threads;
  std::size_t shared;
};

/// What there is for tokens of T and heads of some width.
template <class T>
struct FusedKernels {
  using Kept = Query<decltype(widen(T{}))>;
  using In = Tokens<const T>;
  Compiled<Lengths, In, In, In, Tokens<T>> forward, few;  ///< few: the same bits by smaller blocks
  Compiled<Lengths, In, In, In, In, Tokens<T>, Kept*> query_vjp;
  Compiled<Lengths, In, In, In, In, const Kept*, Tokens<T>, Tokens<T>> key_vjp;
};

/// Null where products with a softmax between them are to do it. T.cu has it.
template <class T>
const FusedKernels<T>* fused_kernels(const Lengths& z);
template <>
const FusedKernels<float>* fused_kernels(const Lengths& z);
template <>
const FusedKernels<double>* fused_kernels(const Lengths& z);
template <>
const FusedKernels<bf16>* fused_kernels(const Lengths& z);

}  // namespace costate::cuda
