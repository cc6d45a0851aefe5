// Brownian paths in time, one for every element of every sample, addressed by (seed, sample, interval); nothing is stored.
//
// Time is cut into cells of length 1, each with its increment W and space-time Levy area H from its own counter of the generator, and each
// of those is halved, W and H together, as often as an address needs it: 2^-30 at the finest, a tick. constexpr, and of + - * / alone, so
// that every device has the same bits.
#pragma once

#include "core/kernels/noise.h"

namespace costate {

constexpr int path_depth = 30;                                      // a node fits 32 bits
constexpr std::int64_t path_ticks = std::int64_t{1} << path_depth;  // of a cell
constexpr double path_tick = 1.0 / static_cast<double>(path_ticks);

/// What is asked for, of samples first_sample, first_sample + 1, ... over the ticks [from, to).
struct PathDraw {
  std::uint64_t seed, first_sample;
  std::int64_t from, to;
  bool area;    ///< H in place of W
  double unit;  ///< the result is W / unit, or unit H
};

/// Over an interval of length h, of several elements: W, and H = (1 / h) int (W_u - u W / h) du. W ~ N(0, h) and
/// H ~ N(0, h / 12), independent.
template <int width>
struct PathPieces {
  double h = 0;
  double W[width] = {}, H[width] = {};
};

/// The paths of at most `width` neighbouring elements of one sample.
template <int width>
class Paths {
 public:
  constexpr Paths(const PathDraw& draw, std::int64_t row, std::int64_t first, int count)
      : key_(key_of(draw.seed, draw.first_sample + static_cast<std::uint64_t>(row))), first_(first), count_(count) {}

  /// normals(stream, first, count, out): two of each element, which are `count` from `first` on.
  template <class Normals>
  constexpr PathPieces<width> over(const PathDraw& draw, const Normals& normals) const {
    PathPieces<width> sum;
    for (std::int64_t at = draw.from; at < draw.to;) {
      const std::int64_t cell = at >> path_depth, begin = cell << path_depth, all = begin + path_ticks,
                         end = all < draw.to ? all : draw.to;
      const PathPieces<width> piece = of_cell(normals, cell, at - begin, end - begin);
      append(sum, piece.h, piece);
      at = end;
    }
    return sum;
  }

 private:
  static constexpr double root_12 = 3.4641016151377544, root_half = 0.7071067811865476;

  /// Paths have keys of their own, which no other noise of the seed has.
  static constexpr std::uint64_t key_of(std::uint64_t seed, std::uint64_t sample) {
    const auto bits =
        philox4x32({static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(sample >> 32), 0x54726565, 0},
                   {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
    return std::uint64_t{bits[1]} << 32 | bits[0];
  }
  /// Of h = 2^-level.
  static constexpr double root_of_length(int level) {
    double root = level % 2 == 0 ? 1 : root_half;
    for (; level > 1; level -= 2) root /= 2;
    return root;
  }

  /// A node's normals: 0 is the whole cell, 1 its halving, 2 and 3 those of its halves ... Counters are {element, node, cell, 1}.
  [[nodiscard]] constexpr NoiseStream stream(std::int64_t cell, std::uint32_t node) const {
    return {key_, std::uint64_t{1} << 32 | static_cast<std::uint32_t>(cell), node};
  }

  struct Waiting {
    std::uint32_t node;
    int level;
    double W[width], H[width];
  };

  /// What follows in time is added to what there is.
  template <class Piece>
  constexpr void append(PathPieces<width>& a, double b_h, const Piece& b) const {
    const double h = a.h + b_h;
    for (int i = 0; i < count_; ++i) {
      const double W = a.W[i];
      a.W[i] = W + b.W[i];
      a.H[i] = (a.h * a.H[i] + b_h * b.H[i] + (b_h * W - a.h * b.W[i]) / 2) / h;
    }
    a.h = h;
  }

  /// Ticks [from, to) of a cell. Pieces wait until those before them have been added.
  template <class Normals>
  [[nodiscard]] constexpr PathPieces<width> of_cell(const Normals& normals, std::int64_t cell, std::int64_t from,
                                                    std::int64_t to) const {
    PathPieces<width> sum;
    double n[2 * width];
    Waiting waiting[path_depth + 1];
    normals(stream(cell, 0), first_, count_, n);
    waiting[0].node = 1, waiting[0].level = 0;
    for (int i = 0; i < count_; ++i) waiting[0].W[i] = n[2 * i], waiting[0].H[i] = n[2 * i + 1] / root_12;
    for (int left = 1; left > 0;) {
      const Waiting whole = waiting[--left];
      const std::int64_t length = path_ticks >> whole.level,
                         low = (whole.node - (std::int64_t{1} << whole.level)) * length, middle = low + length / 2;
      if (from <= low && low + length <= to) {
        append(sum, static_cast<double>(length) * path_tick, whole);
        continue;
      }
      // With D = W_1 - W_2 and S = H_1 + H_2 of the halves, H = S / 2 + D / 4: D | H ~ N(3 H, h / 4), S = 2 H - D / 2, and
      // H_1 - H_2 ~ N(0, h / 12) is independent of all (Foster, Lyons and Oberhauser 2020).
      normals(stream(cell, whole.node), first_, count_, n);
      const double root = root_of_length(whole.level);
      for (int second = 1; second >= 0; --second) {
        if (second == 1 ? to <= middle : from >= middle) continue;
        Waiting& half = waiting[left++];
        half.node = 2 * whole.node + static_cast<std::uint32_t>(second), half.level = whole.level + 1;
        const double sign = second == 1 ? -1 : 1;
        for (int i = 0; i < count_; ++i) {
          const double D = 3 * whole.H[i] + root / 2 * n[2 * i], S = 2 * whole.H[i] - D / 2,
                       Q = root / root_12 * n[2 * i + 1];
          half.W[i] = (whole.W[i] + sign * D) / 2, half.H[i] = (S + sign * Q) / 2;
        }
      }
    }
    return sum;
  }

  std::uint64_t key_;
  std::int64_t first_;
  int count_;
};

namespace cpu {
void brownian_path(const PathDraw& draw, Tensor& y);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::brownian_path) brownian_path;
}  // namespace cuda

/// y (samples, ...), f32 or f64; the same bits on every device.
inline constexpr Kernel<void(const PathDraw&, Tensor&)> brownian_path_kernel{"brownian_path", cpu::brownian_path,
                                                                             cuda::brownian_path};

}  // namespace costate
