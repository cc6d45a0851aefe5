// The tree: descent to the dyadic pieces of an interval, joint bisection of increment and area, and their sum.
#include "solvers/brownian_tree.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/noise.h"
#include "core/parallel.h"

namespace costate {
namespace {

constexpr int depth = 30;                                 // a node fits 32 bits
constexpr std::int64_t ticks = std::int64_t{1} << depth;  // of an interval of length 1
constexpr double tick = 1.0 / static_cast<double>(ticks);

constexpr std::int64_t width = 64;  // elements that go down the tree together

/// Over an interval of length h, of several elements: W, and H = (1 / h) int (W_u - u W / h) du. W ~ N(0, h) and
/// H ~ N(0, h / 12), independent.
struct Pieces {
  double h = 0;
  std::array<double, width> W, H;
};

/// Ticks [from, to) of the unit interval number `cell`.
struct Range {
  std::int64_t cell, from, to;
};

/// The paths of at most `width` elements of one sample, from `first` on.
class Paths {
 public:
  Paths(std::uint64_t key, std::int64_t first, std::int64_t count) : key_(key), first_(first), count_(count) {}
  [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(count_); }

  [[nodiscard]] Pieces over(const Range& range) const {
    const Normals n = normals(range.cell, 0);
    Pieces whole, sum{};
    whole.h = 1;
    for (std::size_t i = 0; i < count(); ++i) whole.W[i] = n[2 * i], whole.H[i] = n[2 * i + 1] / std::sqrt(12);
    add(range, whole, 1, 0, ticks, sum);
    return sum;
  }

  /// What follows in time is added to what there is.
  void append(Pieces& a, const Pieces& b) const {
    const double h = a.h + b.h;
    if (h == 0) return;
    for (std::size_t i = 0; i < count(); ++i) {
      const double W = a.W[i];
      a.W[i] = W + b.W[i];
      a.H[i] = (a.h * a.H[i] + b.h * b.H[i] + (b.h * W - a.h * b.W[i]) / 2) / h;
    }
    a.h = h;
  }

 private:
  using Normals = std::array<double, 2 * width>;

  /// Two normals of a node for each element: 0 is the whole interval, 1 its first halving, 2 and 3 those of its halves ...
  /// Counters are {element, node, cell, 1}.
  [[nodiscard]] Normals normals(std::int64_t cell, std::uint32_t node) const {
    Normals n;
    const std::uint64_t sample = std::uint64_t{1} << 32 | static_cast<std::uint32_t>(cell);
    cpu::normal_pairs({key_, sample, node}, first_, count_, n.data());
    return n;
  }

  /// Adds what of ticks [low, high), whose pieces are given, lies in the range.
  void add(const Range& range, const Pieces& whole, std::uint32_t node, std::int64_t low, std::int64_t high,
           Pieces& sum) const {
    if (range.from <= low && high <= range.to) return append(sum, whole);
    // With D = W_1 - W_2 and S = H_1 + H_2 of the halves, H = S / 2 + D / 4: D | H ~ N(3 H, h / 4), S = 2 H - D / 2, and
    // H_1 - H_2 ~ N(0, h / 12) is independent of all (Foster, Lyons and Oberhauser 2020).
    const Normals n = normals(range.cell, node);
    const double root = std::sqrt(whole.h);
    const auto half = [&](double sign) {
      Pieces piece;
      piece.h = whole.h / 2;
      for (std::size_t i = 0; i < count(); ++i) {
        const double D = 3 * whole.H[i] + root / 2 * n[2 * i], S = 2 * whole.H[i] - D / 2,
                     Q = root / std::sqrt(12) * n[2 * i + 1];
        piece.W[i] = (whole.W[i] + sign * D) / 2, piece.H[i] = (S + sign * Q) / 2;
      }
      return piece;
    };
    const std::int64_t middle = (low + high) / 2;
    if (range.from < middle) add(range, half(1), 2 * node, low, middle, sum);
    if (range.to > middle) add(range, half(-1), 2 * node + 1, middle, high, sum);
  }

  std::uint64_t key_;
  std::int64_t first_, count_;
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
std::uint64_t key_of(std::uint64_t seed, std::uint64_t sample) {
  const auto bits =
      philox4x32({static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(sample >> 32), 0x54726565, 0},
                 {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return std::uint64_t{bits[1]} << 32 | bits[0];
}

}  // namespace

Noise tree_noise(std::uint64_t seed, std::uint64_t first_sample) {
  return [seed, first_sample, fresh = fresh_noise(seed, first_sample)](const Draw& draw, const Tensor& like) {
    if (draw.from == draw.to || !std::isfinite(draw.from)) return fresh(draw, like);
    const auto ranges = ranges_between(draw);
    const double h = std::log(draw.from / draw.to);  // as the sampler has it, so that steps add up to the path
    Tensor noise = Tensor::empty(like.shape(), like.dtype());
    const std::int64_t size = like.dim(0) == 0 ? 1 : like.size() / like.dim(0), blocks = (size + width - 1) / width;
    visit_compute(like.dtype(), "tree_noise", [&](auto tag) {
      using T = decltype(tag);
      T* out = noise.mutable_data<T>();
      parallel_ranges(like.dim(0) * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t block = begin; block < end; ++block) {
          const std::int64_t row = block / blocks, first = block % blocks * width;
          const Paths paths(key_of(seed, first_sample + static_cast<std::uint64_t>(row)), first,
                            std::min(width, size - first));
          Pieces sum{};
          for (const Range& range : ranges) paths.append(sum, paths.over(range));
          for (std::size_t i = 0; i < paths.count(); ++i)
            out[row * size + first + static_cast<std::int64_t>(i)] =
                static_cast<T>(draw.area ? std::sqrt(12 / h) * sum.H[i] : sum.W[i] / std::sqrt(h));
        }
      });
    });
    return noise.to(like.device());
  };
}

}  // namespace costate
