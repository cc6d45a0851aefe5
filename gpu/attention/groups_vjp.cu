// Attention's vjp in bf16 by warp groups, on chips that have them: rows of queries (softmax, mean slope and dq), then rows of keys (dk and
// dv), as heads.h has it. In both the scores of rows and columns are products into registers, and what is made of them is the left factor
// of the next ones; those of keys are scores turned round, so that nothing has to be transposed.
//
// Of a tile, a group has slopes multiplied while it makes exponentials, then sums of weights while it makes slopes, then sums of slopes
// together with the next tile's scores, in turns with the block's other group. (What a product reads from registers must not be written
// while another runs: else nvcc has them run one by one.)
//
// Cycles of a tile of 64 x 64 in one pass, by the machine code, not by measuring: tensor cores 128 for each 16 channels, which is
// 384 at 40 channels, 512 at 64, 1024 at 128; exponentials 256; instructions of each scheduler some 320 (keys) and 390 (queries). So
// narrow heads are short of all three, and only two groups together, each at another, come near the largest of them.
#include "gpu/attention/groups.h"
#include "gpu/attention/ways.h"

namespace costate::cuda {
namespace {

using namespace groups;

/// Rows a and b, columns a and b: scores are a a^T, slopes b b^T. Queries: (q, g) and (k, v); keys: (k, v) and (q, g).
struct Maps {
  TensorMap rows_a, rows_b, columns_a, columns_b;
};

/// What is kept of a tile of queries: P = 2^(score - shift), and the mean of g v^T under P. Queries that are not there have no weight.
template <class S>
struct alignas(16) Kept {
  float shift[S::columns], mean[S::columns];
};

constexpr int tiles_of(int tokens, int columns) { return (tokens + columns - 1) / columns; }

/// What a pass reads of it, and writes.
struct ToQueries {
  float* kept;
  Tokens<bf16> dq;
};
struct ToKeys {
  const float* kept;
  Tokens<bf16> dk, dv;
};

/// A block's shared memory: arrivals, rows, then stages of columns, and of what is kept of these.
template <class S>
struct Room {
  static std::size_t bytes(int groups) {
    return tile_room(groups * 2 * S::row_bytes + S::stages * (2 * S::tile_bytes + static_cast<int>(sizeof(Kept<S>))));
  }

  Arrival *rows_come, *columns_come;
  Arrival* done;  ///< by each warp: all that the slot's tile is needed for
  Arrival* turn;  ///< of each group
  unsigned char *rows_a, *rows_b, *columns_a, *columns_b;
  Kept<S>* kept;
  __device__ explicit Room(int groups)
      : rows_come(dynamic_shared<Arrival>()),
        columns_come(rows_come + 1),
        done(columns_come + S::stages),
        turn(done + S::stages),
        rows_a(first_tile()),
        rows_b(rows_a + groups * S::row_bytes),
        columns_a(rows_b + groups * S::row_bytes),
        columns_b(columns_a + S::stages * S::tile_bytes),
        kept(reinterpret_cast<Kept<S>*>(columns_b + S::stages * S::tile_bytes)) {}
};

/// Rows are queries.
template <class S>
class OfQueries {
 public:
  using Out = ToQueries;
  __device__ static int rows(const Lengths& z) { return z.queries; }
  __device__ static int columns(const Lengths& z) { return z.keys; }
  __device__ explicit OfQueries(const Lengths& z) : z_(&z), softmax_(z.scale) {}

  /// Scores of a tile to weights. Whether sums so far are to be multiplied.
  __device__ bool weigh(Scores<S>& s, int tile, const Kept<S>&) {
    if (!softmax_.take(s, z_->keys - tile * S::columns, factor_)) return false;
#pragma unroll
    for (int half = 0; half < 2; ++half) mean_[half] *= factor_[half];
    return true;
  }
  __device__ void multiply(Sums<S>& by_weight, Sums<S>& by_slope) const {
    multiply_rows(by_weight, factor_);
    multiply_rows(by_slope, factor_);
  }

  /// dp to P (dP - c), c the mean over the first tile.
  __device__ void slope(Scores<S>& dp, const Scores<S>& p, int tile, const Kept<S>&) {
    if (tile == 0) {
#pragma unroll
      for (int i = 0; i < S::columns / 2; ++i) about_[i / 2 % 2] += p[i] * dp[i];
#pragma unroll
      for (int half = 0; half < 2; ++half)
        about_[half] = mma::sum_of_row(about_[half]) * fast_reciprocal(softmax_.sum_of(half));
    }
#pragma unroll
    for (int i = 0; i < S::columns / 2; ++i) {
      dp[i] = p[i] * (dp[i] - about_[i / 2 % 2]);
      mean_[i / 2 % 2] += dp[i];
    }
  }

  __device__ void finish(const Out& to, const Share& share, const Sums<S>& by_weight, Sums<S>& by_slope) {
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = softmax_.sum_of(half), norm = 1 / sum;
      const int row = share.first + row_of() + half * 8;
      mean_[half] = mma::sum_of_row(mean_[half]) * norm;
      factor[half] = norm * static_cast<float>(z_->scale);
      const int tiles = tiles_of(z_->queries, S::columns);
      if (threadIdx.x % 4 == 0 && row < tiles * S::columns) {
        Kept<S>& tile = reinterpret_cast<Kept<S>*>(to.kept)[std::int64_t{share.problem} * tiles + row / S::columns];
        tile.shift[row % S::columns] = row < z_->queries ? softmax_.shift_of(half) + std::log2(sum) : INFINITY;
        tile.mean[row % S::columns] = row < z_->queries ? about_[half] + mean_[half] : 0;
      }
    }
#pragma unroll
    for (int i = 0; i < S::depth * 8; ++i) by_slope[i] -= mean_[i / 2 % 2] * by_weight[i];
    store_rows<S>(share.of(to.dq, z_->queries), share.first, z_->queries, *z_, by_slope, factor);
  }

 private:
  const Lengths* z_;
  Softmax<S> softmax_;
  float factor_[2], about_[2] = {0, 0}, mean_[2] = {0, 0};
};

/// Rows are keys.
template <class S>
class OfKeys {
 public:
  using Out = ToKeys;
  __device__ static int rows(const Lengths& z) { return z.keys; }
  __device__ static int columns(const Lengths& z) { return z.queries; }
  __device__ explicit OfKeys(const Lengths& z) : z_(&z), scale_(static_cast<float>(z.scale * log2_e)) {}

  __device__ bool weigh(Scores<S>& s, int, const Kept<S>& kept) const {
    over_columns(kept.shift, [&](int i, float shift) { s[i] = power_of_two(s[i] * scale_ - shift); });
    return false;
  }
  __device__ void multiply(Sums<S>&, Sums<S>&) const {}
  __device__ void slope(Scores<S>& dp, const Scores<S>& p, int, const Kept<S>& kept) const {
    over_columns(kept.mean, [&](int i, float mean) { dp[i] = p[i] * (dp[i] - mean); });
  }
  __device__ void finish(const Out& to, const Share& share, const Sums<S>& dv, const Sums<S>& dk) const {
    const auto scale = static_cast<float>(z_->scale);
    store_rows<S>(share.of(to.dk, z_->keys), share.first, z_->keys, *z_, dk, {scale, scale});
    store_rows<S>(share.of(to.dv, z_->keys), share.first, z_->keys, *z_, dv, {1, 1});
  }

 private:
  /// f(i, x) for all scores of the lane, x their column's; columns come two at a time, for two rows each.
  template <class F>
  __device__ static void over_columns(const float (&of)[S::columns], const F& f) {
#pragma unroll
    for (int i = 0; i < S::columns / 2; i += 4) {
      const auto pair = *reinterpret_cast<const Pack<float, 2>*>(of + column_of(i));
#pragma unroll
      for (int e = 0; e < 4; ++e) f(i + e, pair.v[e % 2]);
    }
  }

  const Lengths* z_;
  float scale_;
};

template <class Pass>
constexpr bool of_keys = std::is_same_v<typename Pass::Out, ToKeys>;

/// What one thread does for the block.
template <class S, class Pass>
class Feed {
 public:
  __device__ Feed(const Maps& maps, const Lengths& z, const Share& s, const float* kept, const Room<S>& room)
      : maps_(&maps),
        room_(&room),
        kept_(reinterpret_cast<const Kept<S>*>(kept) + std::int64_t{s.problem} * tiles_of(z.queries, S::columns)),
        sample_(s.problem / z.heads),
        head_(s.problem % z.heads) {}

  __device__ void bring_rows(int groups, int first, int count) const {
    expect_bytes(room_->rows_come, static_cast<unsigned>(groups * 2 * S::row_bytes));
    for (int group = 0; group < groups; ++group) {
      const int row = first + group * group_rows, token = row < count ? row : first;  // some others for none
      bring<group_rows>(room_->rows_a + group * S::row_bytes, maps_->rows_a, token, room_->rows_come);
      bring<group_rows>(room_->rows_b + group * S::row_bytes, maps_->rows_b, token, room_->rows_come);
    }
  }
  __device__ void bring_columns(int tile, int slot) const {
    Arrival* come = room_->columns_come + slot;
    const int first = tile * S::columns;
    expect_bytes(come, 2 * S::tile_bytes + (of_keys<Pass> ? int{sizeof(Kept<S>)} : 0));
    bring<S::columns>(room_->columns_a + slot * S::tile_bytes, maps_->columns_a, first, come);
    bring<S::columns>(room_->columns_b + slot * S::tile_bytes, maps_->columns_b, first, come);
    if constexpr (of_keys<Pass>) copy_bytes(room_->kept + slot, kept_ + tile, sizeof(Kept<S>), come);
  }

 private:
  template <int lines>
  __device__ void bring(unsigned char* to, const TensorMap& map, int token, Arrival* come) const {
    bring_tokens<S, lines>(to, map, token, head_, sample_, come);
  }

  const Maps* maps_;
  const Room<S>* room_;
  const Kept<S>* kept_;
  int sample_, head_;
};

template <class S, class Pass>
__global__ void __launch_bounds__(most_groups* group_threads, S::blocks)
    vjp(const __grid_constant__ Maps maps, Lengths z, typename Pass::Out to) {
  kernel_begins();
  if constexpr (warp_groups_here) {
    // That a warp has one group is what nvcc sees in a shuffle, and so has addresses of tiles once a warp.
    const int groups = static_cast<int>(blockDim.x) / group_threads, thread = static_cast<int>(threadIdx.x),
              group = __shfl_sync(~0U, thread / group_threads, 0), tiles = tiles_of(Pass::columns(z), S::columns);
    const bool leads = thread % 32 == 0;
    const Room<S> room(groups);
    const Share share(z, Pass::rows(z), groups * group_rows);
    const Feed<S, Pass> feed(maps, z, share, to.kept, room);
    const Turns turns(room.turn, groups, group);
    if (thread == 0) {
      start_arrival(room.rows_come, 1);
      for (int i = 0; i < groups; ++i) start_arrival(room.turn + i, group_threads / 32);
      for (int slot = 0; slot < S::stages; ++slot) {
        start_arrival(room.columns_come + slot, 1);
        start_arrival(room.done + slot, static_cast<unsigned>(groups * (group_threads / 32)));
      }
      copies_follow();
      feed.bring_rows(groups, share.first, Pass::rows(z));
      for (int slot = 0; slot < S::stages && slot < tiles; ++slot) feed.bring_columns(slot, slot);
    }
    __syncthreads();
    Scores<S> s = {}, dp = {};
    Factors<S> weights, slopes;
    Sums<S> by_weight = {}, by_slope = {};
    Pass pass(z);
    wait_for_round(room.rows_come, false);
    const Rows<S> rows_a(room.rows_a + group * S::row_bytes), rows_b(room.rows_b + group * S::row_bytes);
    wait_for_round(room.columns_come, false);
    turns.wait(0);
    products_may_start();
    rows_a.start_scores(s, room.columns_a);
    if (leads) turns.pass();
    products_wait<0>();
    products_let_go(s);
    for (int tile = 0;; ++tile) {
      const int slot = tile % S::stages;
      const unsigned char *a = room.columns_a + slot * S::tile_bytes, *b = room.columns_b + slot * S::tile_bytes;
      // Here, not behind the wait: what goes by `tile` after the feeding would cost each thread its own copy of it and of all addresses.
      if (tile > 0 && leads) arrive(room.done + (tile - 1) % S::stages);
      products_may_start();
      rows_b.start_scores(dp, b);
      const bool moved = pass.weigh(s, tile, room.kept[slot]);
      products_wait<0>();
      products_let_go(dp);
      if (moved) pass.multiply(by_weight, by_slope);
      to_factors<S>(weights, s);
      products_may_start();
      start_sums<S>(by_weight, weights, of_keys<Pass> ? b : a);
      pass.slope(dp, s, tile, room.kept[slot]);
      products_wait<0>();
      products_let_go(by_weight);
      let_go_of<S>(weights);
      to_factors<S>(slopes, dp);
      turns.wait(tile + 1);
      products_may_start();
      start_sums<S>(by_slope, slopes, a);
      if (tile + 1 == tiles) break;
      const int next = (tile + 1) % S::stages;
      wait_for_round(room.columns_come + next, (tile + 1) / S::stages % 2 == 1);
      products_may_start();
      rows_a.start_scores(s, room.columns_a + next * S::tile_bytes);
      if (leads) turns.pass();
      if (thread == 0 && tile > 0 && tile - 1 + S::stages < tiles) {
        const int before = (tile - 1) % S::stages;
        wait_for_round(room.done + before, (tile - 1) / S::stages % 2 == 1);
        if (of_keys<Pass>) copies_follow();  // what is kept was read by threads
        feed.bring_columns(tile - 1 + S::stages, before);
      }
      __syncwarp();
      products_wait<0>();
      products_let_go(s);
      products_let_go(by_slope);
      let_go_of<S>(slopes);
    }
    if (leads) turns.pass();
    products_wait<0>();
    products_let_go(by_slope);
    let_go_of<S>(slopes);
    pass.finish(to, share, by_weight, by_slope);
  }
}

/// Both kernels with their shape.
struct Fitting {
  void (*of_queries)(Maps, Lengths, ToQueries);
  void (*of_keys)(Maps, Lengths, ToKeys);
  int columns;                       ///< of a tile
  std::size_t (*bytes)(int groups);  ///< of shared memory
};
template <class S>
constexpr Fitting fitting{vjp<S, OfQueries<S>>, vjp<S, OfKeys<S>>, S::columns, Room<S>::bytes};

const Fitting* fitting_for(int width) {
  if (width <= 32) return &fitting<Shape<2, 64, 4, 1, true>>;
  if (width <= 48) return &fitting<Shape<3, 64, 4, 1, true>>;
  if (width <= 64) return &fitting<Shape<4, 64, 4, 1, true>>;
  if (width <= 80) return &fitting<Shape<5, 64, 4, 1, true>>;
  if (width <= 128) return &fitting<Shape<8, 64, 4, 1, false>>;
  if (width <= 160) return &fitting<Shape<10, 32, 4, 1, false>>;
  return nullptr;
}

}  // namespace

bool attend_vjp_by_groups(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                          AttentionGrads& grads) {
  constexpr const char* op = "attention_vjp";
  const Lengths z = lengths_of(spec, q, k);
  const Fitting* f = fitting_for(z.width);
  if (f == nullptr || !fit(z, {&q, &k, &v, &g}) || v.dim(2) != k.dim(2) || f->bytes(most_groups) > most_shared())
    return false;
  const std::int64_t problems = q.dim(0) * spec.heads;
  const auto start = [&](auto* kernel, int rows, const Tensor& row_a, const Tensor& row_b, const Tensor& column_a,
                         const Tensor& column_b, const auto& to) {
    const auto tokens = [&](const Tensor& x, int lines) { return boxes_of_tokens(op, x, spec.heads, lines); };
    const Maps maps{tokens(row_a, group_rows), tokens(row_b, group_rows), tokens(column_a, f->columns),
                    tokens(column_b, f->columns)};
    const int groups = groups_for(op, problems, rows);
    launch_shared(op, dim3(static_cast<unsigned>(blocks_of(op, problems, rows, groups))),
                  dim3(static_cast<unsigned>(groups * group_threads)), f->bytes(groups), kernel, maps, z, to);
  };
  Tensor about = Tensor::empty({problems, tiles_of(z.queries, f->columns), 2, f->columns}, {DType::f32, Device::cuda});
  float* kept = about.mutable_device_data<float>();
  const GradTokens<bf16> to(grads.all.mutable_device_data<bf16>(), grads, spec.heads, q, k, v);
  start(f->of_queries, z.queries, q, g, k, v, ToQueries{kept, to.q});
  if (to.of_keys()) start(f->of_keys, z.keys, k, v, q, g, ToKeys{kept, to.k, to.v});
  return true;
}

}  // namespace costate::cuda
