// The tree: descent to the dyadic pieces of an interval, joint bisection of increment and area, and their sum.
#include "solvers/brownian_tree.h"

#include <cmath>

#include "core/kernel.h"
#include "core/parallel.h"
#include "core/random.h"

namespace costate {
namespace {

constexpr int depth = 30;                                 // a node fits 32 bits
constexpr std::int64_t ticks = std::int64_t{1} << depth;  // of an interval of length 1
constexpr double tick = 1.0 / static_cast<double>(ticks);

/// Over an interval of length h: W, and H = (1 / h) int (W_u - u W / h) du. W ~ N(0, h) and H ~ N(0, h / 12), independent.
struct Piece {
  double h = 0, W = 0, H = 0;
};

/// The piece of both intervals one after the other.
Piece join(const Piece& a, const Piece& b) {
  const double h = a.h + b.h;
  if (h == 0) return {};
  return {h, a.W + b.W, (a.h * a.H + b.h * b.H + (b.h * a.W - a.h * b.W) / 2) / h};
}

/// Ticks [from, to) of the unit interval number `cell`.
struct Range {
  std::int64_t cell, from, to;
};

/// The path of one element of one sample.
class Path {
 public:
  Path(std::array<std::uint32_t, 2> key, std::uint32_t element) : key_(key), element_(element) {}

  [[nodiscard]] Piece over(const Range& range) const {
    const auto [w, h] = normals(range.cell, 0);
    Piece sum;
    add(range, {1, w, h / std::sqrt(12)}, 1, 0, ticks, sum);
    return sum;
  }

 private:
  /// Two normals of a node: 0 is the whole interval, 1 its first halving, 2 and 3 those of its halves ...
  [[nodiscard]] std::array<double, 2> normals(std::int64_t cell, std::uint32_t node) const {
    return normal_pair(philox4x32({element_, node, static_cast<std::uint32_t>(cell), 1}, key_));
  }

  /// Adds what of ticks [low, high), whose piece is given, lies in the range.
  void add(const Range& range, const Piece& piece, std::uint32_t node, std::int64_t low, std::int64_t high,
           Piece& sum) const {
    if (range.from <= low && high <= range.to) {
      sum = join(sum, piece);
      return;
    }
    // With D = W_1 - W_2 and S = H_1 + H_2 of the halves, H = S / 2 + D / 4: D | H ~ N(3 H, h / 4), S = 2 H - D / 2, and
    // H_1 - H_2 ~ N(0, h / 12) is independent of all (Foster, Lyons and Oberhauser 2020).
    const auto [n1, n2] = normals(range.cell, node);
    const double root = std::sqrt(piece.h), D = 3 * piece.H + root / 2 * n1, S = 2 * piece.H - D / 2,
                 Q = root / std::sqrt(12) * n2;
    const std::int64_t middle = (low + high) / 2;
    if (range.from < middle) add(range, {piece.h / 2, (piece.W + D) / 2, (S + Q) / 2}, 2 * node, low, middle, sum);
    if (range.to > middle) add(range, {piece.h / 2, (piece.W - D) / 2, (S - Q) / 2}, 2 * node + 1, middle, high, sum);
  }

  std::array<std::uint32_t, 2> key_;
  std::uint32_t element_;
};

std::vector<Range> ranges_between(const Draw& draw) {
  const auto address = [](double s) { return static_cast<std::int64_t>(std::llround(-std::log(s) / tick)); };
  const std::int64_t from = address(draw.from), to = address(draw.to);
  require(from < to,
          "noise: the Brownian tree has no levels between s = {} and {}, which are less than 2^-{} apart in "
          "lambda; take fewer steps, or fresh noise",
          draw.from, draw.to, depth);
  std::vector<Range> ranges;
  for (std::int64_t at = from; at < to;) {
    const std::int64_t cell = at >> depth, end = std::min((cell + 1) << depth, to);
    ranges.push_back({cell, at - (cell << depth), end - (cell << depth)});
    at = end;
  }
  return ranges;
}

/// Paths have keys of their own, which no other noise of the seed has.
std::array<std::uint32_t, 2> key_of(std::uint64_t seed, std::uint64_t sample) {
  const auto bits =
      philox4x32({static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(sample >> 32), 0x54726565, 0},
                 {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return {bits[0], bits[1]};
}

}  // namespace

Noise tree_noise(std::uint64_t seed, std::uint64_t first_sample) {
  return [seed, first_sample, fresh = fresh_noise(seed, first_sample)](const Draw& draw, const Tensor& like) {
    if (draw.from == draw.to || !std::isfinite(draw.from)) return fresh(draw, like);
    const auto ranges = ranges_between(draw);
    const double h = std::log(draw.from / draw.to);  // as the sampler has it, so that steps add up to the path
    Tensor noise = Tensor::empty(like.shape(), like.dtype());
    const std::int64_t size = like.dim(0) == 0 ? 1 : like.size() / like.dim(0);
    visit_compute(like.dtype(), "tree_noise", [&](auto tag) {
      using T = decltype(tag);
      T* out = noise.mutable_data<T>();
      parallel_ranges(like.size(), 64, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          const Path path(key_of(seed, first_sample + static_cast<std::uint64_t>(i / size)),
                          static_cast<std::uint32_t>(i % size));
          Piece sum;
          for (const Range& range : ranges) sum = join(sum, path.over(range));
          out[i] = static_cast<T>(draw.area ? std::sqrt(12 / h) * sum.H : sum.W / std::sqrt(h));
        }
      });
    });
    return noise.to(like.device());
  };
}

}  // namespace costate
