// Products by warp groups: a block's last warp has boxes of both factors brought to shared memory, some steps ahead, and each group
// multiplies 64 rows of the tile.
#include "gpu/gemm.h"
#include "gpu/warp_groups.h"

namespace costate::cuda {
namespace {

/// m x n by a warp group for each 64 rows. A block that has a multiprocessor to itself has more stages, to be as far ahead as two or
/// three others together. Cycles, measured on an H200: `step` for a step where others fill the gaps, `alone` where none do; `rest` for a
/// block beside its steps.
template <int m_, int n_, int blocks_, int stages_, int stages_alone_, int step_, int alone_, int rest_>
struct GroupTile : WarpTile<m_, n_, 16, n_> {
  static constexpr int blocks = blocks_, stages = stages_, stages_alone = stages_alone_;
  static constexpr int step = step_, alone = alone_, rest = rest_;
  static constexpr int bytes_a = m_ * 128, bytes_b = n_ * 128;  // of a stage
};
using Small = GroupTile<64, 64, 3, 4, 12, 290, 520, 1400>;
using Large = GroupTile<128, 128, 2, 3, 6, 600, 740, 4500>;
// A block that goes through several pieces has their sums in registers beside its own.
using SmallFolded = GroupTile<64, 64, 3, 4, 12, 300, 520, 1600>;
using LargeFolded = GroupTile<128, 128, 1, 6, 6, 765, 765, 12000>;

constexpr int feeding = 32;  // threads of a block beside its groups

/// A block's shared memory: arrivals, then stages of a's tiles and of b's.
template <class Tile>
struct Stages {
  static constexpr std::size_t head = 1024;  // at most 1023 bytes up to a multiple of 1024, beside it
  static std::size_t bytes(int stages) {
    return 2 * head + static_cast<std::size_t>(stages * (Tile::bytes_a + Tile::bytes_b));
  }

  int count;
  Arrival* arrivals;
  unsigned char* first;
  __device__ explicit Stages(int stages)
      : count(stages), arrivals(dynamic_shared<Arrival>()), first(dynamic_shared<unsigned char>() + head) {
    first += (1024 - reinterpret_cast<std::uintptr_t>(first) % 1024) % 1024;
  }
  __device__ unsigned char* a(int slot) const { return first + slot * Tile::bytes_a; }
  __device__ unsigned char* b(int slot) const { return first + count * Tile::bytes_a + slot * Tile::bytes_b; }
};

/// Rows of a box of a factor's tile.
template <bool along_k, int rows>
constexpr int box_rows = along_k ? rows : 64;

/// What the last warp does: keeps the stages full. A slot is free again when all groups have come to the barrier after its step.
template <class Tile, bool a_along_k, bool b_along_k>
__device__ void feed(const Boxes& a, const Boxes& b, const Product& p, const Stages<Tile>& tiles, int problem, int m0,
                     int n0, int first, int steps) {
  constexpr int box_a = box_rows<a_along_k, Tile::m>, box_b = box_rows<b_along_k, Tile::n>;
  const bool acts = threadIdx.x % 32 == 0;
  // For rows that are not there, some other box.
  const auto inside = [](int row, int start, int end) { return row < end ? row : start; };
  Feed<a_along_k> feed_a[] = {{a, problem, m0, first}, {a, problem, inside(m0 + Tile::m - box_a, m0, p.m), first}};
  Feed<b_along_k> feed_b[] = {{b, problem, n0, first}, {b, problem, inside(n0 + Tile::n - box_b, n0, p.n), first}};
  static_assert(Tile::m <= 128 && Tile::n <= 128, "two boxes at most");
  const auto bring = [&](int slot) {
    expect_bytes(tiles.arrivals + slot, Tile::bytes_a + Tile::bytes_b);
#pragma unroll
    for (int i = 0; i < Tile::m / box_a; ++i) feed_a[i].bring(tiles.a(slot) + i * box_a * 128, tiles.arrivals + slot);
#pragma unroll
    for (int i = 0; i < Tile::n / box_b; ++i) feed_b[i].bring(tiles.b(slot) + i * box_b * 128, tiles.arrivals + slot);
  };
  const int ahead = tiles.count - 1;
  for (int step = 0; step < ahead && step < steps; ++step)
    if (acts) bring(step);
  for (int step = 0, slot = ahead; step < steps; ++step) {
    __syncthreads();
    if (acts && step + ahead < steps) bring(slot);
    slot = slot + 1 == tiles.count ? 0 : slot + 1;
  }
}

template <class M, class Tile, bool a_along_k, bool b_along_k, bool folds, class Out>
__global__ void __launch_bounds__(Tile::threads + feeding, Tile::blocks)
    group_kernel(const __grid_constant__ Boxes a, const __grid_constant__ Boxes b, Output<Out> c, float* partial,
                 Product p, int stages) {
  kernel_begins();
  if constexpr (warp_groups_here) {
    const Stages<Tile> tiles(stages);
    const int across = (p.n + Tile::n - 1) / Tile::n, problem = static_cast<int>(blockIdx.z);
    const int m0 = static_cast<int>(blockIdx.x) / across * Tile::m,
              n0 = static_cast<int>(blockIdx.x) % across * Tile::n;
    const int first = static_cast<int>(blockIdx.y) * p.piece,
              steps = (p.folded || p.k - first < p.piece ? p.k : first + p.piece) - first;
    if (threadIdx.x == 0) {
      for (int slot = 0; slot < stages; ++slot) start_arrival(tiles.arrivals + slot, 1);
      arrivals_started();
    }
    __syncthreads();
    if (threadIdx.x >= Tile::threads)
      return feed<Tile, a_along_k, b_along_k>(a, b, p, tiles, problem, m0, n0, first, steps);
    float sum[Tile::values], total[folds ? Tile::values : 1];
#pragma unroll
    for (int i = 0; i < Tile::values; ++i) sum[i] = 0;
    int folded = 0, to_fold = p.piece, slot = 0;
    bool odd = false;
    for (int step = 0; step < steps; ++step) {
      wait_for_round(tiles.arrivals + slot, odd);
      products_may_start();
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const Terms left(tiles.a(slot) + threadIdx.x / 128 * (64 * 128) + k * (a_along_k ? 32 : 16 * 128), 64 * 128),
            right(tiles.b(slot) + k * (b_along_k ? 32 : 16 * 128), 64 * 128);
        if constexpr (std::is_same_v<M, Tf32>)
          multiply_group_tf32(sum, left, right);
        else
          multiply_group<!a_along_k, !b_along_k>(sum, left, right);
      }
      products_end_group();
      if (folds && --to_fold == 0 && step + 1 < steps) {
        products_wait<0>();
#pragma unroll
        for (int i = 0; i < (folds ? Tile::values : 0); ++i) {
          total[i] = folded == 0 ? sum[i] : total[i] + sum[i];
          sum[i] = 0;
        }
        ++folded;
        to_fold = p.piece;
      } else {
        products_wait<1>();
      }
      __syncthreads();  // the tiles of the step before may be overwritten
      if (++slot == stages) slot = 0, odd = !odd;
    }
    products_wait<0>();
    if (folds && folded > 0)
#pragma unroll
      for (int i = 0; i < (folds ? Tile::values : 0); ++i) sum[i] = total[i] + sum[i];
    write<Tile, a_along_k, b_along_k>(c, partial, p, problem, m0, n0, sum);
  }
}

/// Cycles of a product by a tile, roughly: `each` blocks a multiprocessor, whose steps fill each other's gaps.
template <class Tile>
double cycles_of(std::int64_t blocks, std::int64_t steps) {
  const std::int64_t each = pieces_of(blocks, processors);
  return static_cast<double>(std::max<std::int64_t>(Tile::alone, each * Tile::step) * steps + each * Tile::rest);
}

/// ... of writing so many sums, and of adding them up by a kernel of its own.
double cycles_of_adding(std::int64_t sums) { return 2000 + static_cast<double>(sums) / 340; }

template <class Tile>
std::int64_t blocks_of(std::int64_t m, std::int64_t n) {
  return pieces_of(m, Tile::m) * pieces_of(n, Tile::n);
}

/// Cycles where pieces have blocks of their own, or a block goes through all of them.
template <class Tile>
double time_apart(const GroupProduct& p) {
  const std::int64_t pieces = pieces_of(p.steps, p.piece);
  return cycles_of<Tile>(p.problems * blocks_of<Tile>(p.m, p.n) * pieces, p.piece) +
         (pieces > 1 ? cycles_of_adding(p.problems * p.m * p.n * pieces) : 0);
}
template <class Tile>
double time_folded(const GroupProduct& p) {
  return cycles_of<Tile>(p.problems * blocks_of<Tile>(p.m, p.n), p.steps);
}

template <class M, class Tile, bool a_along_k, bool b_along_k, bool folds, class T>
void start(const char* op, const BoxesFor& a, const BoxesFor& b, const Output<T>& c, const GroupProduct& e) {
  const std::int64_t pieces = folds ? 1 : pieces_of(e.steps, e.piece);
  Product p{static_cast<int>(e.m),  static_cast<int>(e.n), static_cast<int>(e.steps), static_cast<int>(e.piece), folds,
            may_pack<float>(c, e.n)};
  Tensor partial;
  if (pieces > 1) partial = Tensor::empty({pieces, e.problems, e.m, e.n}, {DType::f32, Device::cuda});
  float* to = pieces > 1 ? partial.mutable_device_data<float>() : nullptr;
  const std::int64_t blocks = blocks_of<Tile>(e.m, e.n);
  const int stages = blocks * pieces * e.problems <= processors ? Tile::stages_alone : Tile::stages;
  launch_shared(op,
                dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(pieces), static_cast<unsigned>(e.problems)),
                dim3(Tile::threads + feeding), Stages<Tile>::bytes(stages),
                group_kernel<M, Tile, a_along_k, b_along_k, folds, T>, a(Tile::m), b(Tile::n), c, to, p, stages);
  if (pieces > 1) add_pieces(op, c, to, p, pieces, e.problems);
}

template <class M, bool a_along_k, bool b_along_k, class T>
void choose(const char* op, const BoxesFor& a, const BoxesFor& b, const Output<T>& c, const GroupProduct& p) {
  const bool cut = pieces_of(p.steps, p.piece) > 1;
  const double small = time_apart<Small>(p), large = time_apart<Large>(p), apart = std::min(small, large);
  const double small_folded = time_folded<SmallFolded>(p), large_folded = time_folded<LargeFolded>(p);
  if (cut && std::min(small_folded, large_folded) < apart)
    return large_folded < small_folded ? start<M, LargeFolded, a_along_k, b_along_k, true>(op, a, b, c, p)
                                       : start<M, SmallFolded, a_along_k, b_along_k, true>(op, a, b, c, p);
  large < small ? start<M, Large, a_along_k, b_along_k, false>(op, a, b, c, p)
                : start<M, Small, a_along_k, b_along_k, false>(op, a, b, c, p);
}

}  // namespace

std::int64_t group_piece(std::int64_t m, std::int64_t n, std::int64_t steps, std::int64_t most_pieces, double gain) {
  constexpr std::int64_t shortest = 9;
  GroupProduct p{1, m, n, steps, steps, true, true};
  const auto time = [&] { return std::min(time_apart<Small>(p), time_apart<Large>(p)); };
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
void multiply_by_groups(M, const char* op, const BoxesFor& a, const BoxesFor& b, const Output<T>& c,
                        const GroupProduct& p) {
  if (p.problems == 0 || p.m == 0 || p.n == 0) return;
  constexpr std::int64_t most = (std::int64_t{1} << 31) - 1024, terms = line_terms<M>;  // kernels count in int
  require(p.m < most && p.n < most && p.steps < most / terms && p.problems <= 65535,
          "{}: {} products ({} x {}) by ({} x {}) are more than one launch holds; use a smaller batch", op, p.problems,
          p.m, terms * p.steps, terms * p.steps, p.n);
  if constexpr (std::is_same_v<M, Tf32>) {
    choose<M, true, true>(op, a, b, c, p);
  } else {
    if (p.a_along_k)
      p.b_along_k ? choose<M, true, true>(op, a, b, c, p) : choose<M, true, false>(op, a, b, c, p);
    else
      p.b_along_k ? choose<M, false, true>(op, a, b, c, p) : choose<M, false, false>(op, a, b, c, p);
  }
}

template void multiply_by_groups(bf16, const char*, const BoxesFor&, const BoxesFor&, const Output<bf16>&,
                                 const GroupProduct&);
template void multiply_by_groups(bf16, const char*, const BoxesFor&, const BoxesFor&, const Output<float>&,
                                 const GroupProduct&);
template void multiply_by_groups(Tf32, const char*, const BoxesFor&, const BoxesFor&, const Output<float>&,
                                 const GroupProduct&);

}  // namespace costate::cuda
