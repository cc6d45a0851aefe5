// Attention forward in bf16 by warp groups, on chips that have them (gpu/ptx_sm90.h). Each group of a block has 64 queries, whose scores,
// weights and sums stay in its registers, and goes over tiles of keys and values that come to shared memory some steps ahead (Shah and
// others 2024, "FlashAttention-3").
//
// A group starts the product of a tile's weights and values together with the scores of the next tile, and waits for both. The two groups
// of a block do so in turns, and while one has its products made the other is at its exponentials. One thread of the first group has the
// tiles brought: a warp of its own for that would be one more among whose registers a quarter of the multiprocessor's are shared out,
// which leaves each thread 96 for 128.
#include <cmath>

#include "gpu/attention/mma.h"
#include "gpu/attention/ways.h"
#include "gpu/launch.h"
#include "gpu/precision.h"
#include "gpu/ptx_sm90.h"
#include "gpu/tensor_map.h"
#include "gpu/tile_room.h"

namespace costate::cuda {
namespace {

constexpr int group_threads = 128, group_rows = 64, most_groups = 2;  // of a block
constexpr int chunk = 64;                                             // channels of a line of 128 bytes

/// For heads of up to 16 `depth` channels, tiles of `keys` keys and values, `stages` of them; `blocks` of one multiprocessor.
template <int depth_, int keys_, int stages_, int blocks_>
struct Shape {
  static constexpr int depth = depth_, keys = keys_, stages = stages_, blocks = blocks_;
  static constexpr int chunks = (depth * 16 + chunk - 1) / chunk;
  static constexpr int query_chunk = group_rows * 128, tile_chunk = keys * 128;  // bytes
  static constexpr int query_bytes = chunks * query_chunk,
                       tile = chunks * tile_chunk;  // of a group; of keys, or of values
  static_assert(keys == 64 || keys == 128, "what multiply_group has");
};

/// Tokens as boxes of (channel, token, head, sample): beyond a head's channels, and beyond the last token, come zeros.
struct Maps {
  TensorMap q, k, v;
};

/// A block's shared memory: arrivals, each group's queries, then stages of keys and of values.
template <class S>
struct Room {
  static std::size_t bytes(int groups) { return tile_room(groups * S::query_bytes + S::stages * 2 * S::tile); }

  Arrival *queries_come, *keys_come, *values_come;
  Arrival* done;  ///< by each warp: the scores of the slot's tile, and the sums up to the tile before
  Arrival* turn;  ///< of each group
  unsigned char *queries, *keys, *values;
  __device__ explicit Room(int groups)
      : queries_come(dynamic_shared<Arrival>()),
        keys_come(queries_come + 1),
        values_come(keys_come + S::stages),
        done(values_come + S::stages),
        turn(done + S::stages),
        queries(first_tile()),
        keys(queries + groups * S::query_bytes),
        values(keys + S::stages * S::tile) {}
};

/// A slot of the stages, and whether its round has an odd number.
template <class S>
struct Place {
  int slot = 0;
  bool odd = false;
  __device__ Place next() const { return slot + 1 == S::stages ? Place{0, !odd} : Place{slot + 1, odd}; }
};

/// What one thread does for the block.
template <class S>
class Feed {
 public:
  __device__ Feed(const Maps& maps, const Lengths& z, const Share& s, const Room<S>& room)
      : maps_(&maps), room_(&room), count_(z.keys), sample_(s.problem / z.heads), head_(s.problem % z.heads) {}

  __device__ void bring_queries(int groups, int first, int count) const {
    expect_bytes(room_->queries_come, static_cast<unsigned>(groups * S::query_bytes));
    for (int group = 0; group < groups; ++group) {
      const int row = first + group * group_rows;  // for rows that are not there, some others
      bring<S::query_chunk>(room_->queries + group * S::query_bytes, maps_->q, row < count ? row : first,
                            room_->queries_come);
    }
  }
  __device__ void bring_keys(int tile, int slot) const {
    bring_tile(room_->keys, maps_->k, tile, slot, room_->keys_come);
  }
  __device__ void bring_values(int tile, int slot) const {
    bring_tile(room_->values, maps_->v, tile, slot, room_->values_come);
  }

 private:
  __device__ void bring_tile(unsigned char* to, const TensorMap& map, int tile, int slot, Arrival* come) const {
    if (tile * S::keys >= count_) return;
    expect_bytes(come + slot, S::tile);
    bring<S::tile_chunk>(to + slot * S::tile, map, tile * S::keys, come + slot);
  }
  template <int bytes>
  __device__ void bring(unsigned char* to, const TensorMap& map, int token, Arrival* come) const {
#pragma unroll
    for (int c = 0; c < S::chunks; ++c) copy_box(to + c * bytes, map, c * chunk, token, head_, sample_, come);
  }

  const Maps* maps_;
  const Room<S>* room_;
  int count_, sample_, head_;
};

/// Channel, or key of a tile, of the i-th number that a lane has of a product; i / 2 % 2 says which of its two rows it is in.
__device__ int column_of(int i) { return i / 4 * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + i % 2; }

/// A running softmax of the lane's two rows, each lane with the sum of its own columns. Weights are 2^(scale score - shift), where the
/// shift is the row's largest so far or up to `slack` below it: so it hardly ever moves, and sums need not be multiplied.
template <class S>
class Softmax {
 public:
  __device__ explicit Softmax(double scale) : scale_(static_cast<float>(scale * log2_e)) {}

  /// Scores to weights, none from column `count` on. Whether a shift of the warp has moved; `factor` is what earlier sums of weights are
  /// to be multiplied by.
  __device__ bool take(float (&s)[S::keys / 2], int count, float (&factor)[2]) {
    constexpr int n = S::keys / 2;
    if (count < S::keys) [[unlikely]]
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

 private:
  static constexpr float slack = 8;  // weights of 2^8 at most
  float scale_;                      // positive; with log2 e in it
  float shift_[2] = {-INFINITY, -INFINITY}, sum_[2] = {0, 0};
};

/// Two groups start products in turns, the first one first: else both would do the same at the same time, and tensor cores would have
/// nothing to do half of it.
class Turns {
 public:
  __device__ Turns(Arrival* turn, int groups, int group) : turn_(turn), groups_(groups), group_(group) {}
  __device__ void wait(int number) const {
    if (groups_ > 1 && number + group_ > 0) wait_for_round(turn_ + group_, (number + group_) % 2 == 0);
  }
  /// By one thread of each warp.
  __device__ void pass() const {
    if (groups_ > 1) arrive(turn_ + 1 - group_);
  }

 private:
  Arrival* turn_;
  int groups_, group_;
};

/// Scores of the group's queries and a tile of keys, started.
template <class S>
__device__ void start_scores(float (&s)[S::keys / 2], const unsigned char* query, const unsigned char* keys) {
  const auto step = [&]<bool adds>(int k) {
    const int c = k / 4, inside = k % 4 * 32;
    multiply_group<false, false, adds>(s, Terms(query + c * S::query_chunk + inside, S::query_chunk),
                                       Terms(keys + c * S::tile_chunk + inside, S::tile_chunk));
  };
  step.template operator()<false>(0);
#pragma unroll
  for (int k = 1; k < S::depth; ++k) step.template operator()<true>(k);
  products_end_group();
}

/// `out` += weights times a tile of values, started.
template <class S>
__device__ void start_sums(float (&out)[S::chunks][chunk / 2], const std::uint32_t (&weights)[S::keys / 16][4],
                           const unsigned char* values) {
#pragma unroll
  for (int k = 0; k < S::keys / 16; ++k)
#pragma unroll
    for (int c = 0; c < S::chunks; ++c)
      multiply_group<true>(out[c], weights[k], Terms(values + c * S::tile_chunk + k * (16 * 128), S::tile_chunk));
  products_end_group();
}

template <class S>
__global__ void __launch_bounds__(most_groups* group_threads, S::blocks)
    forward(const __grid_constant__ Maps maps, Lengths z, bf16* y) {
  kernel_begins();
  if constexpr (warp_groups_here) {
    const int groups = static_cast<int>(blockDim.x) / group_threads, thread = static_cast<int>(threadIdx.x),
              group = thread / group_threads;
    const bool leads = thread % 32 == 0;
    const Room<S> room(groups);
    const Share share(z, z.queries, groups * group_rows);
    const Feed<S> feed(maps, z, share, room);
    const Turns turns(room.turn, groups, group);
    if (thread == 0) {
      start_arrival(room.queries_come, 1);
      for (int i = 0; i < groups; ++i) start_arrival(room.turn + i, group_threads / 32);
      for (int slot = 0; slot < S::stages; ++slot) {
        start_arrival(room.keys_come + slot, 1);
        start_arrival(room.values_come + slot, 1);
        start_arrival(room.done + slot, static_cast<unsigned>(groups * (group_threads / 32)));
      }
      arrivals_started();
      feed.bring_queries(groups, share.first, z.queries);
      for (int slot = 0; slot < S::stages; ++slot) {
        feed.bring_keys(slot, slot);
        if (slot + 1 < S::stages) feed.bring_values(slot, slot);
      }
    }
    __syncthreads();
    const unsigned char* queries = room.queries + group * S::query_bytes;
    float s[S::keys / 2] = {}, out[S::chunks][chunk / 2] = {}, factor[2];
    std::uint32_t weights[S::keys / 16][4];
    Softmax<S> softmax(z.scale);
    wait_for_round(room.queries_come, false);
    wait_for_round(room.keys_come, false);
    turns.wait(0);
    products_may_start();
    start_scores<S>(s, queries, room.keys);
    if (leads) turns.pass();
    products_wait<0>();
    products_let_go(s);
    if (leads) arrive(room.done);
    Place<S> at;
    for (int tile = 0, before = S::stages - 1;; ++tile) {
      if (softmax.take(s, z.keys - tile * S::keys, factor))
#pragma unroll
        for (auto& of_chunk : out)
#pragma unroll
          for (int i = 0; i < chunk / 2; ++i) of_chunk[i] *= factor[i / 2 % 2];
#pragma unroll
      for (int i = 0; i < S::keys / 2; i += 2) weights[i / 8][i / 2 % 4] = bf16_pair(s[i], s[i + 1]);
      wait_for_round(room.values_come + at.slot, at.odd);
      turns.wait(tile + 1);
      products_may_start();
      start_sums<S>(out, weights, room.values + at.slot * S::tile);
      if ((tile + 1) * S::keys >= z.keys) break;
      const Place<S> next = at.next();
      wait_for_round(room.keys_come + next.slot, next.odd);
      products_may_start();
      start_scores<S>(s, queries, room.keys + next.slot * S::tile);
      if (leads) turns.pass();
      products_wait<0>();
      products_let_go(s);
#pragma unroll
      for (auto& of_chunk : out) products_let_go(of_chunk);
#pragma unroll
      for (auto& w : weights) products_let_go(w);
      if (leads) arrive(room.done + next.slot);
      if (thread == 0 && (tile + S::stages - 1) * S::keys < z.keys) {
        // Nobody needs this tile's keys any more, nor the values before them, once all warps have come to where this one was a tile ago.
        wait_for_round(room.done + at.slot, at.odd);
        feed.bring_keys(tile + S::stages, at.slot);
        feed.bring_values(tile + S::stages - 1, before);
      }
      __syncwarp();
      before = at.slot;
      at = next;
    }
    if (leads) turns.pass();
    products_wait<0>();
#pragma unroll
    for (auto& of_chunk : out) products_let_go(of_chunk);
      // Row 16 w + lane / 4 of warp w, and the one 8 further.
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float by = 1 / softmax.sum_of(half);
      const int row = share.first + thread / 32 * 16 + thread % 32 / 4 + half * 8;
      bf16* line = y + share.queries + std::int64_t{row} * z.heads * z.width;
#pragma unroll
      for (int c = 0; c < S::chunks; ++c)
#pragma unroll
        for (int i = 2 * half; i < chunk / 2; i += 4)
          if (const int channel = c * chunk + column_of(i); row < z.queries && channel < z.width)
            *reinterpret_cast<std::uint32_t*>(line + channel) = bf16_pair(out[c][i] * by, out[c][i + 1] * by);
    }
  }
}

/// A kernel with its shape.
struct Fitting {
  void (*kernel)(Maps, Lengths, bf16*);
  int keys;                          ///< of a tile
  std::size_t (*bytes)(int groups);  ///< of shared memory
};
template <class S>
constexpr Fitting fitting{forward<S>, S::keys, Room<S>::bytes};

const Fitting* fitting_for(int width) {
  if (width <= 32) return &fitting<Shape<2, 64, 4, 2>>;
  if (width <= 48) return &fitting<Shape<3, 64, 4, 2>>;
  if (width <= 64) return &fitting<Shape<4, 64, 4, 2>>;
  if (width <= 80) return &fitting<Shape<5, 128, 3, 1>>;
  if (width <= 128) return &fitting<Shape<8, 128, 3, 1>>;
  if (width <= 160) return &fitting<Shape<10, 64, 3, 1>>;
  return nullptr;
}

TensorMap tokens_of(const Tensor& x, std::int64_t heads, int lines) {
  const std::int64_t line = x.dim(2), width = line / heads;
  return boxes_of("attention", BoxType::bf16, x.device_data<bf16>(),
                  {{width, x.dim(1), heads, x.dim(0)}, {line, width, line * x.dim(1)}}, lines);
}

}  // namespace

// On an H200 they take 0.64 to 0.93 of the time of `attend_by_warps` from 40 channels a head on, 1.1 at 32.
bool groups_pay(std::int64_t queries, std::int64_t keys, std::int64_t width) {
  return queries >= 32 && keys >= 32 && width > 32;
}

bool attend_by_groups(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y) {
  const auto n = [](std::int64_t extent) { return static_cast<int>(extent); };
  const Lengths z{n(q.dim(1)), n(k.dim(1)), n(spec.heads), n(q.dim(2) / spec.heads), spec.scale};
  const auto in_boxes = [](const Tensor& t) { return aligned_16(t.device_data<bf16>()); };
  const Fitting* f = fitting_for(z.width);
  if (!has_warp_groups() || f == nullptr || z.scale <= 0 || z.width % 8 != 0 || v.dim(2) != k.dim(2) || !in_boxes(q) ||
      !in_boxes(k) || !in_boxes(v) || f->bytes(most_groups) > most_shared())
    return false;
  const std::int64_t problems = q.dim(0) * spec.heads;
  const auto blocks_of = [&](int groups) {
    return problems * ((z.queries + groups * group_rows - 1) / (groups * group_rows));
  };
  const int groups =
      z.queries <= group_rows || blocks_of(1) <= processors_here() ? 1 : most_groups;  // no bit depends on it
  const std::int64_t blocks = blocks_of(groups);
  require(blocks < std::int64_t{1} << 31, "attention: {} samples and heads are more than one launch holds", problems);
  const Maps maps{tokens_of(q, spec.heads, group_rows), tokens_of(k, spec.heads, f->keys),
                  tokens_of(v, spec.heads, f->keys)};
  launch_shared("attention", dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(groups * group_threads)),
                f->bytes(groups), f->kernel, maps, z, y.mutable_device_data<bf16>());
  return true;
}

}  // namespace costate::cuda
