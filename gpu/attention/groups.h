// Attention in bf16 by warp groups (gpu/ptx_groups.h): what forward (groups.cu) and the vjp (groups_vjp.cu) share. A group of a block has
// 64 tokens, its rows, whose scores, weights and sums stay in its registers, and goes over tiles of others, the columns, that come to
// shared memory some steps ahead.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/kernels/attention.h"
#include "gpu/attention/mma.h"
#include "gpu/launch.h"
#include "gpu/precision.h"
#include "gpu/ptx_groups.h"
#include "gpu/tensor_map.h"
#include "gpu/tile_room.h"

namespace costate::cuda::groups {

constexpr int group_threads = 128, group_rows = 64, most_groups = 2;  // of a block
constexpr int chunk = 64;                                             // channels of a line of 128 bytes

/// For heads of up to 16 `depth` channels, tiles of so many columns, `stages` of them; `blocks` of one multiprocessor. held: rows are in
/// registers.
template <int depth_, int columns_, int stages_, int blocks_, bool held_>
struct Shape {
  static constexpr int depth = depth_, columns = columns_, stages = stages_, blocks = blocks_;
  static constexpr bool held = held_;
  static constexpr int chunks = (depth * 16 + chunk - 1) / chunk;
  static constexpr int row_chunk = group_rows * 128, tile_chunk = columns * 128;          // bytes
  static constexpr int row_bytes = chunks * row_chunk, tile_bytes = chunks * tile_chunk;  // of a group; of a tile
};

/// What a thread has of a tile's scores, of these as left factors, and of weighted sums.
template <class S>
using Scores = float[S::columns / 2];
template <class S>
using Factors = std::uint32_t[S::columns / 16][4];
template <class S>
using Sums = float[S::depth * 8];

/// Starts copying `lines` tokens of a head, from `token` on, chunk by chunk.
template <class S, int lines>
__device__ void bring_tokens(unsigned char* to, const TensorMap& map, int token, int head, int sample, Arrival* come) {
#pragma unroll
  for (int c = 0; c < S::chunks; ++c) copy_box(to + c * (lines * 128), map, c * chunk, token, head, sample, come);
}

/// Channel, or column of a tile, of the i-th number that a lane has of a product; i / 2 % 2 says which of its two rows it is in.
__device__ inline int column_of(int i) { return i / 4 * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + i % 2; }

/// The first of the lane's two rows of the block, row lane / 4 of its warp's; the other is 8 further.
__device__ inline int row_of() {
  return static_cast<int>(threadIdx.x) / 32 * 16 + static_cast<int>(threadIdx.x) % 32 / 4;
}

template <class S>
__device__ void to_factors(Factors<S>& out, const Scores<S>& w) {
#pragma unroll
  for (int i = 0; i < S::columns / 2; i += 2) out[i / 8][i / 2 % 4] = bf16_pair(w[i], w[i + 1]);
}

/// A running softmax of the lane's two rows, each lane with the sum of its own columns. Weights are 2^(scale score - shift), where the
/// shift is the row's largest so far or up to `slack` below it: so it hardly ever moves, and sums need not be multiplied.
template <class S>
class Softmax {
 public:
  __device__ explicit Softmax(double scale) : scale_(static_cast<float>(scale * log2_e)) {}

  /// Scores to weights, none from column `count` on. Whether a shift of the warp has moved; `factor` is what earlier sums of weights are
  /// to be multiplied by.
  __device__ bool take(Scores<S>& s, int count, float (&factor)[2]) {
    constexpr int n = S::columns / 2;
    if (count < S::columns) [[unlikely]]
#pragma unroll
      for (int i = 0; i < n; ++i)
        if (column_of(i) >= count) s[i] = -INFINITY;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most[2] = {s[2 * half], s[2 * half + 1]};  // two chains, as no unit answers at once
#pragma unroll
      for (int i = 2 * half + 4; i < n; i += 4)
#pragma unroll
        for (int e = 0; e < 2; ++e) most[e] = std::fmax(most[e], s[i + e]);
      const auto larger = [](float a, float b) { return std::fmax(a, b); };
      const float largest = mma::of_row(larger(most[0], most[1]), larger) * scale_;
      const bool moves = largest > shift_[half] + slack;
      factor[half] = moves ? power_of_two(shift_[half] - largest) : 1;
      if (moves) shift_[half] = largest;
      float sum[2];
#pragma unroll
      for (int i = 2 * half; i < n; i += 4)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          s[i + e] = power_of_two(s[i + e] * scale_ - shift_[half]);
          sum[e] = i == 2 * half ? s[i + e] : sum[e] + s[i + e];
        }
      sum_[half] = sum_[half] * factor[half] + (sum[0] + sum[1]);
    }
    return __any_sync(~0U, factor[0] != 1 || factor[1] != 1);
  }

  [[nodiscard]] __device__ float sum_of(int half) const { return mma::sum_of_row(sum_[half]); }
  [[nodiscard]] __device__ float shift_of(int half) const { return shift_[half]; }

 private:
  static constexpr float slack = 8;  // weights of 2^8 at most
  float scale_;                      // positive; with log2 e in it
  float shift_[2] = {-INFINITY, -INFINITY}, sum_[2] = {0, 0};
};

template <int n>
__device__ void multiply_rows(float (&sums)[n], const float (&factor)[2]) {
#pragma unroll
  for (int i = 0; i < n; ++i) sums[i] *= factor[i / 2 % 2];
}

/// Two groups start products in turns, the first one first: else both would do the same at the same time, and tensor cores would have
/// nothing to do half of it.
class Turns {
 public:
  __device__ Turns(Arrival* turn, int groups, int group) : turn_(turn), groups_(groups), group_(group) {}
  __device__ void wait(int number) const {
    if (groups_ > 1 && (number > 0 || group_ > 0)) wait_for_round(turn_ + group_, (number + group_) % 2 == 0);
  }
  /// By one thread of each warp.
  __device__ void pass() const {
    if (groups_ > 1) arrive(turn_ + 1 - group_);
  }

 private:
  Arrival* turn_;
  int groups_, group_;
};

/// A group's rows as left factors of scores: to be made when they have come. A product of 64 x 64 takes 32 cycles, and so do its factors
/// from shared memory, which has more to do if one of them is in registers.
template <class S>
class Rows {
 public:
  __device__ explicit Rows(const unsigned char* rows) : shared_(rows, S::row_chunk) {
    if constexpr (S::held) {
      const int lane = static_cast<int>(threadIdx.x) % 32,
                row = static_cast<int>(threadIdx.x) % group_threads / 32 * 16 + lane % 16;
#pragma unroll
      for (int k = 0; k < S::depth; ++k)
        load_matrices<false>(held_[k],
                             rows + k / 4 * S::row_chunk + row * 128 + ((k % 4 * 2 + lane / 16) ^ (row % 8)) * 16);
    }
  }

  /// Scores of a tile of columns, started.
  __device__ void start_scores(Scores<S>& s, const unsigned char* columns) const {
    const Terms column(columns, S::tile_chunk);
    step<false>(s, column, 0);
#pragma unroll
    for (int k = 1; k < S::depth; ++k) step<true>(s, column, k);
    products_end_group();
  }

 private:
  template <bool adds>
  __device__ void step(Scores<S>& s, const Terms& column, int k) const {
    const int c = k / 4, inside = k % 4 * 32;
    const Terms right = column + (c * S::tile_chunk + inside);
    if constexpr (S::held)
      multiply_group<false, adds>(s, held_[k], right);
    else
      multiply_group<false, false, adds>(s, shared_ + (c * S::row_chunk + inside), right);
  }

  Terms shared_;
  std::uint32_t held_[S::held ? S::depth : 1][4];
};

/// `out` += weights times a tile of columns, started.
template <class S>
__device__ void start_sums(Sums<S>& out, const Factors<S>& weights, const unsigned char* columns) {
  const Terms column(columns, S::tile_chunk);
#pragma unroll
  for (int k = 0; k < S::columns / 16; ++k) multiply_group<true>(out, weights[k], column + k * (16 * 128));
  products_end_group();
}

template <class S>
__device__ void let_go_of(Factors<S>& weights) {
#pragma unroll
  for (auto& w : weights) products_let_go(w);
}

/// The lane's rows, each times its factor, to a head of `count` tokens of which the block's first is `first`.
template <class S>
__device__ void store_rows(const Tokens<bf16>& head, int first, int count, const Lengths& z, const Sums<S>& out,
                           const float (&factor)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + row_of() + half * 8;
    bf16* line = head.data + row * head.token;
#pragma unroll
    for (int i = 2 * half; i < S::depth * 8; i += 4)
      if (const int channel = column_of(i); row < count && channel < z.width)
        *reinterpret_cast<std::uint32_t*>(line + channel) = bf16_pair(out[i] * factor[half], out[i + 1] * factor[half]);
  }
}

/// Tokens as boxes of (channel, token, head, sample): beyond a head's channels, and beyond the last token, come zeros.
inline TensorMap boxes_of_tokens(const char* op, const Tensor& x, std::int64_t heads, int lines) {
  const auto [data, token, head] = tokens_in<bf16>(x, heads);
  return boxes_of(op, BoxType::bf16, data,
                  {{x.dim(2) / heads, x.dim(1), heads, x.dim(0)}, {token, head, token * x.dim(1)}}, lines);
}

inline Lengths lengths_of(const AttentionSpec& spec, const Tensor& q, const Tensor& k) {
  const auto n = [](std::int64_t extent) { return static_cast<int>(extent); };
  return {n(q.dim(1)), n(k.dim(1)), n(spec.heads), n(q.dim(2) / spec.heads), spec.scale};
}

/// Whether this chip takes such heads, and its copy engine the operands.
inline bool fit(const Lengths& z, std::initializer_list<const Tensor*> operands) {
  return has_warp_groups() && z.scale > 0 && z.width % 8 == 0 &&
         std::all_of(operands.begin(), operands.end(),
                     [&](const Tensor* t) { return in_words(tokens_in<bf16>(*t, z.heads)); });
}

inline std::int64_t blocks_of(const char* op, std::int64_t problems, int rows, int groups) {
  const std::int64_t of_rows = groups * group_rows, blocks = problems * ((rows + of_rows - 1) / of_rows);
  require(blocks < std::int64_t{1} << 31, "{}: {} samples and heads are more than one launch holds", op, problems);
  return blocks;
}

/// Groups of a block for so many samples and heads of `rows` tokens: no bit depends on it.
inline int groups_for(const char* op, std::int64_t problems, int rows) {
  return rows <= group_rows || blocks_of(op, problems, rows, 1) <= processors_here() ? 1 : most_groups;
}

}  // namespace costate::cuda::groups
