// Attention forward in bf16 by warp groups, on chips that have them (Shah and others 2024, "FlashAttention-3"). Rows are queries,
// columns keys and values.
//
// A group starts the product of a tile's weights and values together with the scores of the next tile, and waits for both. The two groups
// of a block do so in turns, and while one has its products made the other is at its exponentials. One thread of the first group has the
// tiles brought: a warp of its own for that would be one more among whose registers a quarter of the multiprocessor's are shared out,
// which leaves each thread 96 for 128.
#include "gpu/attention/groups.h"

#include "gpu/attention/ways.h"

namespace costate::cuda {
namespace {

using namespace groups;

struct Maps {
  TensorMap q, k, v;
};

/// A block's shared memory: arrivals, each group's queries, then stages of keys and of values.
template <class S>
struct Room {
  static std::size_t bytes(int groups) { return tile_room(groups * S::row_bytes + S::stages * 2 * S::tile_bytes); }

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
        keys(queries + groups * S::row_bytes),
        values(keys + S::stages * S::tile_bytes) {}
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
    expect_bytes(room_->queries_come, static_cast<unsigned>(groups * S::row_bytes));
    for (int group = 0; group < groups; ++group) {
      const int row = first + group * group_rows;  // for rows that are not there, some others
      bring_tokens<S, group_rows>(room_->queries + group * S::row_bytes, maps_->q, row < count ? row : first, head_,
                                  sample_, room_->queries_come);
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
    if (tile * S::columns >= count_) return;
    expect_bytes(come + slot, S::tile_bytes);
    bring_tokens<S, S::columns>(to + slot * S::tile_bytes, map, tile * S::columns, head_, sample_, come + slot);
  }

  const Maps* maps_;
  const Room<S>* room_;
  int count_, sample_, head_;
};

template <class S>
__global__ void __launch_bounds__(most_groups* group_threads, S::blocks)
    forward(const __grid_constant__ Maps maps, Lengths z, Tokens<bf16> y) {
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
      copies_follow();
      feed.bring_queries(groups, share.first, z.queries);
      for (int slot = 0; slot < S::stages; ++slot) {
        feed.bring_keys(slot, slot);
        if (slot + 1 < S::stages) feed.bring_values(slot, slot);
      }
    }
    __syncthreads();
    Scores<S> s = {};
    Sums<S> out = {};
    Factors<S> weights;
    float factor[2];
    Softmax<S> softmax(z.scale);
    wait_for_round(room.queries_come, false);
    const Rows<S> queries(room.queries + group * S::row_bytes);
    wait_for_round(room.keys_come, false);
    turns.wait(0);
    products_may_start();
    queries.start_scores(s, room.keys);
    if (leads) turns.pass();
    products_wait<0>();
    products_let_go(s);
    if (leads) arrive(room.done);
    Place<S> at;
    for (int tile = 0, before = S::stages - 1;; ++tile) {
      if (softmax.take(s, z.keys - tile * S::columns, factor)) multiply_rows(out, factor);
      to_factors<S>(weights, s);
      wait_for_round(room.values_come + at.slot, at.odd);
      turns.wait(tile + 1);
      products_may_start();
      start_sums<S>(out, weights, room.values + at.slot * S::tile_bytes);
      if ((tile + 1) * S::columns >= z.keys) break;
      const Place<S> next = at.next();
      wait_for_round(room.keys_come + next.slot, next.odd);
      products_may_start();
      queries.start_scores(s, room.keys + next.slot * S::tile_bytes);
      if (leads) turns.pass();
      products_wait<0>();
      products_let_go(s);
      products_let_go(out);
      let_go_of<S>(weights);
      if (leads) arrive(room.done + next.slot);
      if (thread == 0 && (tile + S::stages - 1) * S::columns < z.keys) {
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
    products_let_go(out);
    let_go_of<S>(weights);
#pragma unroll
    for (int half = 0; half < 2; ++half) factor[half] = 1 / softmax.sum_of(half);
    store_rows<S>(share.of(y, z.queries), share.first, z.queries, z, out, factor);
  }
}

/// A kernel with its shape.
struct Fitting {
  void (*kernel)(Maps, Lengths, Tokens<bf16>);
  int keys;                          ///< of a tile
  std::size_t (*bytes)(int groups);  ///< of shared memory
};
template <class S>
constexpr Fitting fitting{forward<S>, S::columns, Room<S>::bytes};

/// For blocks of so many groups, which no bit depends on.
const Fitting* fitting_for(int width, int groups) {
  if (width <= 32) return &fitting<Shape<2, 64, 4, 2, false>>;
  if (width <= 48) return &fitting<Shape<3, 64, 4, 2, false>>;
  if (width <= 64) return &fitting<Shape<4, 64, 4, 2, false>>;
  if (width <= 80) return &fitting<Shape<5, 128, 3, 1, false>>;
  if (width <= 128) return &fitting<Shape<8, 128, 3, 1, false>>;
  if (width <= 160) return &fitting<Shape<10, 64, 3, 1, false>>;
  if (width <= 256) return groups > 1 ? &fitting<Shape<16, 64, 2, 1, false>> : &fitting<Shape<16, 64, 3, 1, false>>;
  return nullptr;
}

}  // namespace

// On an H200 forward takes 0.64 to 0.93 of the time of `attend_by_warps` from 40 channels a head on, 1.1 at 32. The vjp takes
// 0.49 to 0.85 of its time by warps, 1.0 at 32 (groups_vjp.cu), and goes the same way.
bool groups_pay(std::int64_t queries, std::int64_t keys, std::int64_t width) {
  return queries >= 32 && keys >= 32 && width > 32;
}

bool attend_by_groups(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y) {
  const Lengths z = lengths_of(spec, q, k);
  const std::int64_t problems = q.dim(0) * spec.heads;
  const int groups = groups_for("attention", problems, z.queries);
  const Fitting* f = fitting_for(z.width, groups);
  if (f == nullptr || !fit(z, {&q, &k, &v}) || v.dim(2) != k.dim(2) || f->bytes(groups) > most_shared()) return false;
  const std::int64_t blocks = blocks_of("attention", problems, z.queries, groups);
  const auto tokens = [&](const Tensor& x, int lines) { return boxes_of_tokens("attention", x, spec.heads, lines); };
  const Maps maps{tokens(q, group_rows), tokens(k, f->keys), tokens(v, f->keys)};
  launch_shared("attention", dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(groups * group_threads)),
                f->bytes(groups), f->kernel, maps, z, Tokens<bf16>{y.mutable_device_data<bf16>(), y.dim(2), z.width});
  return true;
}

}  // namespace costate::cuda
