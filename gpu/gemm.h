// The one product that matrix products and convolutions are: C(m, n) = sum_k A(m, k) B(k, n), A and B given by functors (stage.h).
//
// The terms of an element are cut into pieces, by their number alone; a piece is one chain of multiply-adds from zero, and the pieces
// are added in order. Whether a block goes through all pieces or each piece has a block of its own, and which tiles are used, follows
// from how many blocks there would be: it changes the time and no bit, so that a row of a batch is the same alone.
#pragma once

#include "core/tensor.h"
#include "gpu/matrix.h"
#include "gpu/pieces.h"
#include "gpu/stage.h"
#include "gpu/tiles.h"

namespace costate::cuda {

/// Extents of a product, and how it is cut.
struct Product {
  int m, n, k;
  int piece;    ///< terms
  bool folded;  ///< a block goes through all pieces; else blockIdx.y is one
  bool packed;  ///< rows of C may be written 16 bytes at a time
  [[nodiscard]] constexpr Product turned() const { return {n, m, k, piece, folded, packed}; }
};

/// Adds neighbours to sums, as one word if that is allowed, else what lies within `room`.
template <int width, class T, class Sum>
__device__ void add_words(const T* more, int room, bool packed, Sum (&sum)[width]) {
  if (width > 1 && packed) {
    if (room <= 0) return;
    const auto word = *reinterpret_cast<const Pack<T, width>*>(more);
    for (int i = 0; i < width; ++i) sum[i] += static_cast<Sum>(word[i]);
    return;
  }
  for (int i = 0; i < width; ++i)
    if (i < room) sum[i] += static_cast<Sum>(widen(more[i]));
}
template <int width, class T, class Sum>
__device__ void add_bias(const Output<T>& c, int problem, int m, int n, const Product& p, Sum (&sum)[width]) {
  add_words<width>(c.bias.at(problem, m, n), p.n - n, p.packed, sum);
}
template <int width, class T, class Sum>
__device__ void add_addend(const Output<T>& c, int problem, int m, int n, const Product& p, Sum (&sum)[width]) {
  add_words<width>(c.addend + (c.start.of(problem) + m * c.addend_line + n), p.n - n, p.packed, sum);
}

/// Writes as one word if that is allowed, else what lies within `room`.
template <int width, class T, class Sum>
__device__ void store(T* to, const Sum* from, int room, bool packed) {
  if (width > 1 && packed) {
    if (room > 0) *reinterpret_cast<Pack<T, width>*>(to) = Pack<T, width>::of(from);
    return;
  }
  for (int i = 0; i < width; ++i)
    if (i < room) to[i] = narrow<T>(from[i]);
}

/// What a block has of C from (m0, n0) on, to its place, or to its piece's in `partial`. All bias is asked for at one time, and all of the
/// addend, before anything is written: the compiler moves no load over a store, and each that waits by itself is some 700 cycles.
template <class Tile, bool a_along_k, bool b_along_k, class Out, class Sum>
__device__ void write(const Output<Out>& c, Sum* partial, const Product& p, int problem, int m0, int n0,
                      const Sum (&sum)[Tile::values]) {
  Sum all[Tile::values];
  const auto each = [&](const auto& f) {  // f(row, column, neighbours of all) for those that are there
    int k = 0;
    Tile::template visit<a_along_k, b_along_k>(sum, [&]<int width>(int row, int column, const Sum* values) {
      Sum(&mine)[width] = *reinterpret_cast<Sum(*)[width]>(all + k);
      k += width;
      if (m0 + row < p.m) f(m0 + row, n0 + column, mine, values);
    });
  };
  each([](int, int, auto& mine, const Sum* values) {
    for (Sum& e : mine) e = *values++;
  });
  if (partial != nullptr) {
    Sum* const to = partial + (std::int64_t{blockIdx.y} * gridDim.z + problem) * p.m * p.n;
    return each([&]<int width>(int m, int n, Sum(&mine)[width], const Sum*) {
      store<width>(to + std::int64_t{m} * p.n + n, mine, p.n - n, p.packed);
    });
  }
  if (c.bias.data != nullptr) each([&](int m, int n, auto& mine, const Sum*) { add_bias(c, problem, m, n, p, mine); });
  if (c.addend != nullptr) each([&](int m, int n, auto& mine, const Sum*) { add_addend(c, problem, m, n, p, mine); });
  each([&]<int width>(int m, int n, Sum(&mine)[width], const Sum*) {
    store<width>(c.at(problem, m, n), mine, p.n - n, p.packed);
  });
}

/// A block a tile of C (x), piece (y) and problem (z). Copies run `stages - 1` steps ahead of the arithmetic. `partial` (piece,
/// problem, m, n) takes the place of `c` where pieces have blocks of their own.
template <class Tile, int chunk_a, int chunk_b, class A, class B, class Out, class Sum = typename Tile::Sum>
__global__ void __launch_bounds__(Tile::threads, chunk_a == 1 || chunk_b == 1 ? 2 : Tile::blocks)
    gemm_kernel(A a, B b, Output<Out> c, Sum* partial, Product p) {
  kernel_begins();
  using T = typename Tile::Element;
  using StageA = Stage<T, A, Tile::m, Tile::depth, chunk_a, Tile::threads>;
  using StageB = Stage<T, B, Tile::n, Tile::depth, chunk_b, Tile::threads>;
  T* tiles_a = dynamic_shared<T>();
  T* tiles_b = tiles_a + Tile::stages * StageA::size;
  Sum* total = reinterpret_cast<Sum*>(tiles_b + Tile::stages * StageB::size) + threadIdx.x;  // of earlier pieces
  const int across = (p.n + Tile::n - 1) / Tile::n, problem = static_cast<int>(blockIdx.z);
  const int m0 = static_cast<int>(blockIdx.x) / across * Tile::m, n0 = static_cast<int>(blockIdx.x) % across * Tile::n;
  const int first = static_cast<int>(blockIdx.y) * p.piece,
            end = p.folded || p.k - first < p.piece ? p.k : first + p.piece;
  const StageA stage_a(a, problem, m0, p.m);
  const StageB stage_b(b, problem, n0, p.n);
  const int steps = (end - first + Tile::depth - 1) / Tile::depth;
  const auto load = [&](int step) {
    if (step < steps) {
      stage_a.load(tiles_a + step % Tile::stages * StageA::size, first + step * Tile::depth, end);
      stage_b.load(tiles_b + step % Tile::stages * StageB::size, first + step * Tile::depth, end);
    }
    copies_end_group();
  };
  for (int step = 0; step < Tile::stages - 1; ++step) load(step);
  Sum sum[Tile::values] = {};
  int folds = 0, to_fold = p.piece / Tile::depth;
  for (int step = 0; step < steps; ++step) {
    copies_wait<Tile::stages - 2>();
    __syncthreads();
    load(step + Tile::stages - 1);
    const int slot = step % Tile::stages;
    Tile::template multiply<A::along_k, B::along_k>(tiles_a + slot * StageA::size, StageA::pitch,
                                                    tiles_b + slot * StageB::size, StageB::pitch, sum);
    if (--to_fold == 0 && step + 1 < steps) {
      for (int i = 0; i < Tile::values; ++i) {
        total[i * Tile::threads] = (folds == 0 ? Sum{0} : total[i * Tile::threads]) + sum[i];
        sum[i] = 0;
      }
      ++folds;
      to_fold = p.piece / Tile::depth;
    }
  }
  if (folds > 0)
    for (int i = 0; i < Tile::values; ++i) sum[i] = total[i * Tile::threads] + sum[i];
  write<Tile, A::along_k, B::along_k>(c, partial, p, problem, m0, n0, sum);
}

/// Where in c a word begins; outside of it where there is none.
struct ResultWord {
  int problem, m, n;
  bool inside;
};

/// Writes `count` words of c, the i-th at place(i): the sum, in order, of what word(i, piece) is for each piece, with bias and addend.
/// Pieces are read `together` at a time, and all is read before anything is written.
template <int width, int count, int together, class Sum, class T, class At, class Word>
__device__ void write_words(const Output<T>& c, const Product& p, int pieces, const At& place, const Word& word) {
  Sum sum[count][width] = {};
  for (int first = 0; first < pieces; first += together) {
    Pack<Sum, width> more[count][together];
#pragma unroll
    for (int i = 0; i < count; ++i)
#pragma unroll
      for (int k = 0; k < together; ++k)
        if (first + k < pieces && place(i).inside) more[i][k] = word(i, first + k);
#pragma unroll
    for (int i = 0; i < count; ++i)
#pragma unroll
      for (int k = 0; k < together; ++k)
        for (int e = 0; e < width && first + k < pieces; ++e) sum[i][e] += more[i][k].v[e];
  }
  const auto each = [&](const auto& f) {
#pragma unroll
    for (int i = 0; i < count; ++i)
      if (const ResultWord at = place(i); at.inside) f(at, sum[i]);
  };
  if (c.bias.data != nullptr)
    each([&](const ResultWord& at, auto& sum) { add_bias(c, at.problem, at.m, at.n, p, sum); });
  if (c.addend != nullptr)
    each([&](const ResultWord& at, auto& sum) { add_addend(c, at.problem, at.m, at.n, p, sum); });
  each([&](const ResultWord& at, auto& sum) { store<width>(c.at(at.problem, at.m, at.n), sum, p.n - at.n, p.packed); });
}

/// c = the pieces of `partial` (piece, problem, m, n), `width` neighbours a thread.
template <int width, class T, class Sum>
__global__ void add_partials(Output<T> c, const Sum* partial, Product p, std::int64_t pieces, std::int64_t problems) {
  kernel_begins();
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x * width, all = problems * p.m * p.n;
  for (std::int64_t i = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * width; i < all; i += stride) {
    const std::int64_t row = i / p.n;
    const ResultWord at{static_cast<int>(row / p.m), static_cast<int>(row % p.m), static_cast<int>(i % p.n), true};
    write_words<width, 1, 8, Sum>(
        c, p, static_cast<int>(pieces), [&](int) { return at; },
        [&](int, int piece) { return *reinterpret_cast<const Pack<Sum, width>*>(partial + piece * all + i); });
  }
}

template <class Out, class Sum>
void add_pieces(const char* op, const Output<Out>& c, const Sum* partial, const Product& p, std::int64_t pieces,
                std::int64_t problems) {
  constexpr int width = 16 / sizeof(Sum);
  const std::int64_t all = problems * p.m * p.n;
  if (p.packed)
    launch(op, blocks_for(all / width), dim3(256), add_partials<width, Out, Sum>, c, partial, p, pieces, problems);
  else
    launch(op, blocks_for(all), dim3(256), add_partials<1, Out, Sum>, c, partial, p, pieces, problems);
}

/// Multiprocessors of a large chip, whichever it is: where bits depend on it, they are the same on all.
constexpr std::int64_t processors = 132;

/// Time of `blocks` blocks of `terms` terms each, in terms of a block on a busy multiprocessor. A block that has one to itself runs
/// slower than its share, by two fifths on an H200.
inline double time_of(std::int64_t blocks, double terms) {
  const std::int64_t each = pieces_of(blocks, processors);
  return (each == 1 ? 1.4 : static_cast<double>(each)) * terms;
}

/// ... where each of `pieces` has a block of its own, writes its sums, and a second kernel adds them.
template <class Tile>
double time_apart(std::int64_t blocks, std::int64_t pieces, double terms) {
  return time_of(blocks * pieces, terms + Tile::write) + 2 * Tile::write;
}

/// Bytes of shared memory of a block; `sums`: of earlier pieces have a place in it.
template <class Tile, int chunk_a, int chunk_b, class A, class B>
constexpr std::size_t shared_of(bool sums) {
  using T = typename Tile::Element;
  return sizeof(T) * Tile::stages *
             (Stage<T, A, Tile::m, Tile::depth, chunk_a, Tile::threads>::size +
              Stage<T, B, Tile::n, Tile::depth, chunk_b, Tile::threads>::size) +
         (sums ? sizeof(typename Tile::Sum) * Tile::values * Tile::threads : 0);
}

template <class Tile, int chunk_a, int chunk_b, class A, class B, class Out>
void gemm_with(const char* op, const A& a, const B& b, const Output<Out>& c, std::int64_t problems, Product p) {
  using Sum = typename Tile::Sum;
  const std::int64_t pieces = pieces_of(p.k, p.piece), blocks = pieces_of(p.m, Tile::m) * pieces_of(p.n, Tile::n);
  p.folded = time_of(problems * blocks, p.k) <= time_apart<Tile>(problems * blocks, pieces, p.piece);
  const bool apart = pieces > 1 && !p.folded;
  Tensor partial;
  if (apart) partial = Tensor::empty({pieces, problems, p.m, p.n}, {dtype_of<Sum>(), Device::cuda});
  Sum* to = apart ? partial.mutable_device_data<Sum>() : nullptr;
  launch_shared(
      op,
      dim3(static_cast<unsigned>(blocks), apart ? static_cast<unsigned>(pieces) : 1, static_cast<unsigned>(problems)),
      dim3(Tile::threads), shared_of<Tile, chunk_a, chunk_b, A, B>(pieces > 1 && p.folded),
      gemm_kernel<Tile, chunk_a, chunk_b, A, B, Out>, a, b, c, to, p);
  if (apart) add_pieces(op, c, to, p, pieces, problems);
}

/// Tiles of a type or of Tf32: large ones reuse more of what they load, small ones make more blocks, narrow ones waste less on few columns.
/// Where Small stands for another, it is not worth its compilation.
template <class T>
struct Tiles {
  using Small = FmaTile<T, 64, 64, 8, 4>;
  using Large = Small;
  using Narrow = Small;
};
template <>
struct Tiles<float> {
  using Small = FmaTile<float, 64, 64, 8, 4>;
  using Large = FmaTile<float, 128, 128, 8, 8>;
  using Narrow = FmaTile<float, 128, 16, 4, 4>;
};
template <>
struct Tiles<Tf32> {
  using Small = Tf32Tile<64, 64, 32, 32>;
  using Large = Tf32Tile<128, 128, 64, 32>;
  using Narrow = Small;
};
template <>
struct Tiles<bf16> {
  using Small = MmaTile<64, 64, 32, 32>;
  using Large = MmaTile<128, 128, 64, 32>;
  using Narrow = MmaTile<128, 16, 32, 16>;
};

/// Whether rows of n sums may be written 16 bytes at a time, and what is added to them read so.
template <class Sum, class Out>
bool may_pack(const Output<Out>& c, std::int64_t n) {
  constexpr int wide = 16 / sizeof(Sum);
  const auto begins_word = [](const Out* data) {
    return reinterpret_cast<std::uintptr_t>(data) % (wide * sizeof(Out)) == 0;
  };
  return n % wide == 0 && c.start.divides_by(wide) && c.line % wide == 0 && begins_word(c.data) &&
         begins_word(c.addend) && c.addend_line % wide == 0 && begins_word(c.bias.data) && c.bias.step % wide == 0 &&
         c.bias.start.divides_by(wide);
}

/// Pieces of a product whose bits may depend on its own size and not only on k: as many as take the least time.
template <class M>
std::int64_t fastest_piece(std::int64_t m, std::int64_t n, std::int64_t k) {
  using Tile = typename Tiles<M>::Small;
  constexpr std::int64_t longest = 512, shortest = 128;  // of a piece; longest: where a block goes through all
  const std::int64_t blocks = pieces_of(m, Tile::m) * pieces_of(n, Tile::n);
  std::int64_t best = longest;
  double least = time_of(blocks, static_cast<double>(k));
  for (std::int64_t pieces = 2; pieces <= 64 && k >= pieces * shortest; ++pieces) {
    const double time = time_apart<Tile>(blocks, pieces, static_cast<double>(k) / static_cast<double>(pieces));
    if (time < least) least = time, best = k / pieces;
  }
  return piece_of(k, best);
}

/// Whether no 16 bytes cross an edge of a factor.
struct Words {
  bool a, b;
};

/// `problems` products, each (m x k)(k x n), the k terms in pieces of `piece`.
template <class M, class A, class B, class Out>
void gemm(const char* op, const A& a, const B& b, const Output<Out>& c, std::int64_t problems, std::int64_t m,
          std::int64_t n, std::int64_t k, std::int64_t piece, Words words) {
  if (problems == 0 || m == 0 || n == 0) return;
  using Small = typename Tiles<M>::Small;
  using Large = typename Tiles<M>::Large;
  using Narrow = typename Tiles<M>::Narrow;
  constexpr std::int64_t most = (std::int64_t{1} << 31) - 1024;  // kernels count in int
  const auto blocks = [&](auto tile) {
    return problems * pieces_of(m, decltype(tile)::m) * pieces_of(n, decltype(tile)::n);
  };
  require(
      m < most && n < most && k < most && problems <= 65535 && blocks(Small{}) < most && pieces_of(k, piece) <= 65535,
      "{}: {} products ({} x {}) by ({} x {}) are more than one launch holds; use a smaller batch", op, problems, m, k,
      k, n);
  const Product p{static_cast<int>(m),
                  static_cast<int>(n),
                  static_cast<int>(k),
                  static_cast<int>(piece),
                  true,
                  may_pack<typename Small::Sum>(c, n)};
  constexpr int chunk = 16 / sizeof(Stored<M>);
  if constexpr (!std::is_same_v<Narrow, Small>)
    if (words.a && n <= Narrow::n) return gemm_with<Narrow, chunk, 1>(op, a, b, c, problems, p);
  if (!words.a || !words.b) return gemm_with<Small, 1, 1>(op, a, b, c, problems, p);
  if (n % Large::n == 0 && blocks(Large{}) > 6 * processors &&
      shared_of<Large, chunk, chunk, A, B>(true) <= most_shared())
    return gemm_with<Large, chunk, chunk>(op, a, b, c, problems, p);
  gemm_with<Small, chunk, chunk>(op, a, b, c, problems, p);
}

}  // namespace costate::cuda
