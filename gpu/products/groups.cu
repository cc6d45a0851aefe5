// Products by warp groups: two warps of a block have boxes of a factor each brought to shared memory, some steps ahead, and each group
// multiplies 64 rows of the tile.
#include <algorithm>
#include <bit>
#include <limits>

#include "gpu/cluster_sum.h"
#include "gpu/group_ways.h"
#include "gpu/ptx_groups.h"
#include "gpu/rows_across.h"
#include "gpu/tile_room.h"
#include "gpu/warp_groups.h"

namespace costate::cuda {
namespace {

/// m x n by a warp group for each 64 rows. A block that has a multiprocessor to itself has more stages, to be as far ahead as two or
/// three others together. Cycles: `step` for a step where others fill the gaps, `alone` where none do; `rest` for a block beside its
/// steps. They were fitted to the times of all tiles on an H200, convolutions of 128 to 640 channels in batches of 1, 16 and 64, which they
/// give within a tenth (bench_gpu, with force_group_way).
template <int m_, int n_, int blocks_, int stages_, int stages_alone_, int step_, int alone_, int rest_>
struct GroupTile : WarpTile<m_, n_, 16, n_> {
  static constexpr int blocks = blocks_, stages = stages_, stages_alone = stages_alone_;
  static constexpr int step = step_, alone = alone_, rest = rest_;
  static constexpr bool turned = false;
};
using Small = GroupTile<64, 64, 3, 4, 12, 288, 372, 575>;
using Middle = GroupTile<128, 64, 2, 4, 8, 399, 399, 1486>;
using Large = GroupTile<128, 128, 2, 3, 6, 591, 591, 3225>;
using Wide = GroupTile<128, 160, 1, 5, 5, 780, 780, 4490>;  // for columns in hundreds and sixties: 320, 640, 960
// A block that goes through several pieces has their sums in registers beside its own.
using SmallFolded = GroupTile<64, 64, 3, 4, 12, 286, 370, 1998>;
using MiddleFolded = GroupTile<128, 64, 2, 4, 8, 391, 391, 3349>;
using LargeFolded = GroupTile<128, 128, 1, 6, 6, 600, 600, 8079>;
using WideFolded = GroupTile<128, 160, 1, 5, 5, 780, 780, 9166>;

/// Whether products take the left factor from registers (gpu/rows_across.h), 16 of a thread.
template <class M, bool a_along_k>
constexpr bool in_registers = std::is_same_v<M, Tf32> && !a_along_k;

/// ... which leaves them for one block of large tiles.
template <class Tile, bool turned>
struct InRegisters : AcrossTile<Tile, turned> {
  static constexpr bool large = Tile::values > 32;
  static constexpr int blocks = large ? 1 : Tile::blocks, stages = large ? Tile::stages_alone : Tile::stages;
};

constexpr int feeding = 64;  // threads of a block beside its groups: a warp for each factor

/// A block's shared memory: what of a stage has come and who is through with it, then stages of a's tiles and of b's.
template <class M, class Tile, bool a_along_k, bool b_along_k>
struct Stages {
  using A = Feed<M, a_along_k, Tile::m>;
  using B = Feed<M, b_along_k, Tile::n>;
  static std::size_t bytes(int stages) { return tile_room(stages * (A::bytes + B::bytes)); }

  int count;
  Arrival *come, *free;
  unsigned char *a, *b;
  __device__ explicit Stages(int stages)
      : count(stages), come(dynamic_shared<Arrival>()), free(come + stages), a(first_tile()), b(a + count * A::bytes) {}

  /// What one thread of a block does before all others.
  __device__ void start() const {
    for (int slot = 0; slot < count; ++slot)
      start_arrival(come + slot, 2), start_arrival(free + slot, Tile::threads / 32);
    copies_follow();
  }
};

/// The factors of a product, or of some of its steps.
struct Factors {
  Boxes a, b;
};

/// What a warp beside the groups does, by one of its threads: keeps the stages full of one factor's tiles, which only products read, or
/// `threads` do.
template <bool threads, class Stages>
class Filling {
 public:
  __device__ Filling(const Stages& stages, unsigned char* tiles) : stages_(&stages), tiles_(tiles) {}

  /// Those before step `end`.
  template <class Feed>
  __device__ void fill(Feed feed, int end) {
    for (; step_ < end; ++step_) {
      if (step_ >= stages_->count) {  // the first round of them waits for nobody
        wait_for_round(stages_->free + slot_, odd_);
        if (threads) copies_follow();
      }
      expect_bytes(stages_->come + slot_, Feed::bytes);
      feed.bring(tiles_ + slot_ * Feed::bytes, stages_->come + slot_);
      if (++slot_ == stages_->count) slot_ = 0, odd_ = !odd_;
    }
  }
  /// Those of `steps` from the product's step `first` on: of b up to its step `change`, then of `other`, whose rows are the same.
  template <class Feed>
  __device__ void fill(const Boxes& b, const Boxes& other, int change, int problem, int row, int end, int first,
                       int steps) {
    if (first < change) fill(Feed(b, problem, row, end, first), change - first < steps ? change - first : steps);
    if (step_ < steps) fill(Feed(other, problem, row, end, first + step_ - change), steps);
  }

 private:
  const Stages* stages_;
  unsigned char* tiles_;
  int step_ = 0, slot_ = 0;
  bool odd_ = true;
};

/// What a group does with the tiles of a step, four products of 32 bytes of terms.
template <class M, bool a_along_k, bool b_along_k>
struct Multiply {
  template <int n>
  __device__ void start(float (&sum)[n], const unsigned char* a, const unsigned char* b) {
    const Terms left(a, 64 * 128), right(b, 64 * 128);
    products_may_start();
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const Terms left_k = left + k * (a_along_k ? 32 : 16 * 128), right_k = right + k * (b_along_k ? 32 : 16 * 128);
      if constexpr (std::is_same_v<M, Tf32>)
        multiply_group_tf32(sum, left_k, right_k);
      else
        multiply_group<!a_along_k, !b_along_k>(sum, left_k, right_k);
    }
    products_end_group();
  }
  __device__ void wait_for_step_before() const { products_wait<1>(); }
};
/// ... each with registers of its own, which are loaded as soon as the product is over that has had them.
template <bool b_along_k>
struct Multiply<Tf32, false, b_along_k> {
  static_assert(b_along_k, "only one factor has registers");

  template <int n>
  __device__ void start(float (&sum)[n], const unsigned char* a, const unsigned char* b) {
    const Terms right(b, 64 * 128);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      products_let_go(left_[k]);
      rows_.take(left_[k], a, k);
      products_may_start();
      multiply_group_tf32(sum, left_[k], right + k * 32);
      products_end_group();
      products_wait<3>();  // for the product that has had the next registers
    }
  }
  /// Its products are over; and so are all lanes' loads, for which one of them will speak.
  __device__ void wait_for_step_before() const { __syncwarp(); }

 private:
  RowsAcross rows_;
  std::uint32_t left_[4][4] = {};
};

/// A cluster has a tile (x) of a problem (z), each of its blocks a piece; or a block goes through all of them (`folds`), or has one (y) of
/// more than a cluster has blocks, to `partial`.
template <class M, class Tile, bool a_along_k, bool b_along_k, bool folds, class Out>
__global__ void __launch_bounds__(Tile::threads + feeding, Tile::blocks)
    group_kernel(const __grid_constant__ Factors f, const __grid_constant__ Factors others, int change, Output<Out> c,
                 float* partial, Product p, Cluster cluster, int stages) {
  kernel_begins();
  if constexpr (warp_groups_here) {
    using S = Stages<M, Tile, a_along_k, b_along_k>;
    const S tiles(stages);
    const int across = (p.n + Tile::n - 1) / Tile::n, problem = static_cast<int>(blockIdx.z);
    const int block = static_cast<int>(blockIdx.x), tile = cluster.by_blocks.quotient(block),
              rank = block - tile * cluster.blocks, m0 = tile / across * Tile::m, n0 = tile % across * Tile::n;
    const int first = (rank + static_cast<int>(blockIdx.y)) * p.piece,
              steps = (p.folded || p.k - first < p.piece ? p.k : first + p.piece) - first;
    if (threadIdx.x == 0) tiles.start();
    __syncthreads();
    if (threadIdx.x >= Tile::threads) {
      if (threadIdx.x == Tile::threads)
        Filling<in_registers<M, a_along_k>, S>(tiles, tiles.a)
            .template fill<typename S::A>(f.a, others.a, change, problem, m0, p.m, first, steps);
      if (threadIdx.x == Tile::threads + 32)
        Filling<false, S>(tiles, tiles.b)
            .template fill<typename S::B>(f.b, others.b, change, problem, n0, p.n, first, steps);
      return;
    }
    const unsigned group = Tile::threads == 128 ? 0 : __shfl_sync(~0U, threadIdx.x / 128, 0);  // known to be a warp's
    Multiply<M, a_along_k, b_along_k> multiply;
    float sum[Tile::values], total[folds ? Tile::values : 1];
#pragma unroll
    for (int i = 0; i < Tile::values; ++i) sum[i] = 0;
#pragma unroll
    for (float& t : total) t = 0;
    int to_fold = p.piece, slot = 0, before = 0;
    bool odd = false;
    for (int step = 0; step < steps; ++step) {
      wait_for_round(tiles.come + slot, odd);
      multiply.start(sum, tiles.a + slot * S::A::bytes + group * (64 * 128), tiles.b + slot * S::B::bytes);
      if (folds && --to_fold == 0 && step + 1 < steps) {
        products_wait<0>();
        products_let_go(sum);
#pragma unroll
        for (int i = 0; i < (folds ? Tile::values : 0); ++i) {
          total[i] += sum[i];
          sum[i] = 0;
        }
        to_fold = p.piece;
      } else {
        multiply.wait_for_step_before();
      }
      // The tiles of the step before may be overwritten. Warps do not wait for each other: they may be as far apart as there are stages.
      if (step > 0 && threadIdx.x % 32 == 0) arrive(tiles.free + before);
      before = slot;
      if (++slot == tiles.count) slot = 0, odd = !odd;
    }
    products_wait<0>();
    products_let_go(sum);
#pragma unroll
    for (int i = 0; i < (folds ? Tile::values : 0); ++i) sum[i] = total[i] + sum[i];
    const Product of_c = Tile::turned ? p.turned() : p;
    const int row = Tile::turned ? n0 : m0, column = Tile::turned ? m0 : n0;
    if (partial != nullptr) {
      write<Tile, a_along_k, b_along_k>(c, partial, of_c, problem, row, column, sum);
    } else {
      __syncthreads();  // The products of all warps are over, and all copies have come that were for them: stages are free.
      static_assert(ClusterSum<Tile>::bytes <= Tile::stages * (S::A::bytes + S::B::bytes));
      const ClusterSum<Tile> together(dynamic_shared<unsigned char>() + arrivals_room, rank, cluster.blocks);
      together.template write<a_along_k, b_along_k>(c, of_c, problem, row, column, sum);
    }
  }
}

/// Cycles of a product by a tile, roughly: `each` blocks a multiprocessor, whose steps fill each other's gaps.
template <class Tile>
double cycles_of(std::int64_t each, std::int64_t steps) {
  return static_cast<double>(std::max<std::int64_t>(Tile::alone, each * Tile::step) * steps + each * Tile::rest);
}

/// ... of writing so many sums to memory and reading them; and of adding them up by a kernel of its own.
double cycles_of_reading(std::int64_t sums) { return static_cast<double>(sums) / 340; }
double cycles_of_adding(std::int64_t sums) { return 2000 + cycles_of_reading(sums); }

/// How many clusters can have a multiprocessor for each of their blocks. One lies in a group of 16 or 18 of them, whose rest stays idle, and
/// has the room of the next power of two (forty of three blocks, a multiprocessor each, took an H200 two turns).
std::int64_t clusters_alone(std::int64_t blocks) {
  return blocks == 1
             ? processors
             : processors / 16 * (16 / static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(blocks))));
}

template <class Tile>
std::int64_t tiles_of(const GroupProduct& p) {
  return p.problems * pieces_of(p.m, Tile::m) * pieces_of(p.n, Tile::n);
}

/// Cycles where pieces have blocks of their own, and a kernel adds them; where a cluster does; or where a block goes through all of them.
template <class Tile>
double time_apart(const GroupProduct& p) {
  const std::int64_t pieces = pieces_of(p.steps, p.piece);
  return cycles_of<Tile>(pieces_of(tiles_of<Tile>(p) * pieces, processors), p.piece) +
         (pieces > 1 ? cycles_of_adding(p.problems * p.m * p.n * pieces) : 0);
}
/// The blocks of a cluster read each other's sums at some 4 bytes a cycle each, more slowly than that kernel reads memory, and are spared its
/// launch, which for little work is longer than the time above counts: small tiles gain, large ones lose.
template <class Tile>
double time_together(const GroupProduct& p) {
  const std::int64_t pieces = pieces_of(p.steps, p.piece);
  if (pieces > Cluster::most) return std::numeric_limits<double>::infinity();
  const std::int64_t each = pieces_of(tiles_of<Tile>(p), clusters_alone(pieces)),
                     sums = std::min<std::int64_t>(p.m, Tile::m) * std::min<std::int64_t>(p.n, Tile::n);
  constexpr double launch = 3000;
  return cycles_of<Tile>(each, p.piece) + static_cast<double>(each * sums) - launch;
}
template <class Tile>
double time_folded(const GroupProduct& p) {
  return cycles_of<Tile>(pieces_of(tiles_of<Tile>(p), processors), p.steps);
}

template <class M, class Tile, bool a_along_k, bool b_along_k, bool folds, class T>
void start(const char* op, const GroupFactors& f, const GroupFactors& others, const Output<T>& c,
           const GroupProduct& e) {
  const std::int64_t pieces = folds ? 1 : pieces_of(e.steps, e.piece),
                     cluster = time_together<Tile>(e) < time_apart<Tile>(e) ? pieces : 1, apart = pieces / cluster,
                     tiles = tiles_of<Tile>(e) / e.problems;
  const Product p{static_cast<int>(e.m),
                  static_cast<int>(e.n),
                  static_cast<int>(e.steps),
                  static_cast<int>(e.piece),
                  folds,
                  may_pack<float>(c, Tile::turned ? e.m : e.n)};
  Tensor partial;
  if (apart > 1) partial = Tensor::empty({pieces, e.problems, e.m, e.n}, {DType::f32, Device::cuda});
  float* to = apart > 1 ? partial.mutable_device_data<float>() : nullptr;
  // Of clusters that about fill the chip some may find no multiprocessors of their own: there two blocks fit one.
  const std::int64_t alone = clusters_alone(cluster), clusters = tiles * apart * e.problems;
  const int stages = clusters > alone                      ? Tile::stages
                     : cluster > 1 && 2 * clusters > alone ? std::max(Tile::stages, Tile::stages_alone / 2)
                                                           : Tile::stages_alone;
  const auto of = [](const GroupFactors& g) { return Factors{g.a(Tile::m), g.b(Tile::n)}; };
  const Factors first = of(f);
  launch_clusters(
      op, static_cast<unsigned>(cluster),
      dim3(static_cast<unsigned>(tiles * cluster), static_cast<unsigned>(apart), static_cast<unsigned>(e.problems)),
      dim3(Tile::threads + feeding), Stages<M, Tile, a_along_k, b_along_k>::bytes(stages),
      group_kernel<M, Tile, a_along_k, b_along_k, folds, T>, first, e.first < e.steps ? of(others) : first,
      static_cast<int>(e.first), c, to, p, Cluster(static_cast<int>(cluster)), stages);
  if (apart > 1) add_pieces(op, c, to, Tile::turned ? p.turned() : p, pieces, e.problems);
}

int forced_way = -1;

/// Takes the tile, and the way to go through pieces, that is estimated to need the least time. `turned`: rows of c are columns of the
/// product.
template <class M, bool a_along_k, bool b_along_k, bool turned = false, class T>
void choose(const char* op, const GroupFactors& f, const GroupFactors& others, const Output<T>& c,
            const GroupProduct& p) {
  struct Way {
    double cycles;
    void (*start)(const char*, const GroupFactors&, const GroupFactors&, const Output<T>&, const GroupProduct&);
  };
  constexpr bool left_in_registers = in_registers<M, a_along_k>;
  const auto way = [&]<class Tile, bool folds>(double cycles) {
    using Fitting = std::conditional_t<left_in_registers, InRegisters<Tile, turned>, Tile>;
    return Way{cycles, start<M, Fitting, a_along_k, b_along_k, folds, T>};
  };
  const auto apart = [&]<class Tile>(Tile) {
    return way.template operator()<Tile, false>(std::min(time_apart<Tile>(p), time_together<Tile>(p)));
  };
  const auto folded = [&]<class Tile>(Tile) { return way.template operator()<Tile, true>(time_folded<Tile>(p)); };
  // The sums of two pieces and 16 more are too many registers.
  using LastFolded = std::conditional_t<left_in_registers, LargeFolded, WideFolded>;
  const Way ways[] = {apart(Small{}),        apart(Middle{}),        apart(Large{}),        apart(Wide{}),
                      folded(SmallFolded{}), folded(MiddleFolded{}), folded(LargeFolded{}), folded(LastFolded{})};
  const int allowed = pieces_of(p.steps, p.piece) > 1 ? group_ways : group_ways / 2;
  if (forced_way >= 0) return ways[forced_way % allowed].start(op, f, others, c, p);
  std::min_element(ways, ways + allowed, [](const Way& x, const Way& y) {
    return x.cycles < y.cycles;
  })->start(op, f, others, c, p);
}

}  // namespace

void force_group_way(int way) { forced_way = way; }

std::int64_t group_piece(std::int64_t m, std::int64_t n, std::int64_t steps, std::int64_t most_pieces, double gain) {
  constexpr std::int64_t shortest = 9;
  GroupProduct p{1, m, n, steps, steps, true, true};
  const auto time = [&] {
    return std::min({time_apart<Small>(p), time_apart<Middle>(p), time_apart<Large>(p), time_apart<Wide>(p)});
  };
  const double whole = time();
  std::int64_t best = steps;
  double least = whole / gain;
  for (std::int64_t pieces = 2; pieces <= most_pieces && steps >= pieces * shortest; ++pieces) {
    p.piece = pieces_of(steps, pieces);
    if (time() < least) least = time(), best = p.piece;
  }
  return best;
}

template <class M, class T>
void multiply_by_groups(M, const char* op, const GroupFactors& f, const GroupFactors& others, const Output<T>& c,
                        const GroupProduct& p) {
  if (p.problems == 0 || p.m == 0 || p.n == 0) return;
  constexpr std::int64_t most = (std::int64_t{1} << 31) - 1024, terms = line_terms<M>;  // kernels count in int
  require(p.m < most && p.n < most && p.steps < most / terms && p.problems <= 65535,
          "{}: {} products ({} x {}) by ({} x {}) are more than one launch holds; use a smaller batch", op, p.problems,
          p.m, terms * p.steps, terms * p.steps, p.n);
  if constexpr (std::is_same_v<M, Tf32>) {
    if (!p.b_along_k)
      choose<M, false, true, true>(op, {f.b, f.a}, {others.b, others.a}, c,
                                   {p.problems, p.n, p.m, p.steps, p.piece, false, true, p.first});
    else
      p.a_along_k ? choose<M, true, true>(op, f, others, c, p) : choose<M, false, true>(op, f, others, c, p);
  } else {
    if (p.a_along_k)
      p.b_along_k ? choose<M, true, true>(op, f, others, c, p) : choose<M, true, false>(op, f, others, c, p);
    else
      p.b_along_k ? choose<M, false, true>(op, f, others, c, p) : choose<M, false, false>(op, f, others, c, p);
  }
}

template void multiply_by_groups(bf16, const char*, const GroupFactors&, const GroupFactors&, const Output<bf16>&,
                                 const GroupProduct&);
template void multiply_by_groups(bf16, const char*, const GroupFactors&, const GroupFactors&, const Output<float>&,
                                 const GroupProduct&);
template void multiply_by_groups(Tf32, const char*, const GroupFactors&, const GroupFactors&, const Output<float>&,
                                 const GroupProduct&);

}  // namespace costate::cuda
