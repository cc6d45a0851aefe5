// Winograd convolution: y = A^T [ (G w G^T) . (B^T x B) ] A over tiles of m x m outputs, one matrix product a point.
//
// Tiles of all images form one list. It goes by in stretches: the tiles of a stretch are transformed (by threads), then
// (column block, tiles) tasks multiply them point by point and transform back, so products never leave the cache of the core
// that made them. Every number depends on its own tile only.
#include "core/kernels/winograd.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <type_traits>
#include <vector>

#include "core/kernels/micro.h"
#include "core/kernels/pointwise.h"
#include "core/kernels/winograd_matrices.h"
#include "core/kernels/winograd_tiles.h"
#include "core/parallel.h"
#include "core/profile.h"

namespace costate::cpu {
namespace {

// Transformed tiles of a stretch: a part of the last cache, more where the weights that every stretch goes past are long.
constexpr std::int64_t least_stretch = 2 << 20, most_stretch = 4 << 20;
constexpr std::int64_t product_bytes = 256 << 10;  // products of one task: half a second cache
constexpr std::int64_t least_tasks = 4;            // of a layer whose tiles suffice for them

/// One column block of G w G^T: [point][k][width], computed in f64.
template <class T>
void transform_block(const WinogradConv& conv, const Tensor& w, const ColumnBlock& block, float* to) {
  static constexpr WinogradMatrices<2> two;
  static constexpr WinogradMatrices<4> four;
  const auto* g = conv.m == 2 ? two.g : four.g;
  const std::int64_t n = conv.m + 2, in = w.dim(2), out = w.dim(3), reduced = conv.gradient ? out : in;
  const std::int64_t k_step = conv.gradient ? 1 : out, column_step = conv.gradient ? out : 1;
  std::vector<double> taps(static_cast<std::size_t>(9 * block.width)), half(static_cast<std::size_t>(3 * block.width));
  for (std::int64_t k = 0; k < reduced; ++k) {
    for (std::int64_t tap = 0; tap < 9; ++tap) {
      const T* from = w.data<T>() + (conv.gradient ? 8 - tap : tap) * in * out + k * k_step + block.first * column_step;
      for (std::int64_t c = 0; c < block.count; ++c)
        taps[static_cast<std::size_t>(tap * block.width + c)] = static_cast<double>(widen(from[c * column_step]));
    }
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t e = 0; e < 3 * block.width; ++e) {
        const auto at = static_cast<std::size_t>(e), row = static_cast<std::size_t>(3 * block.width);
        half[at] = g[i][0] * taps[at] + g[i][1] * taps[at + row] + g[i][2] * taps[at + 2 * row];
      }
      for (std::int64_t j = 0; j < n; ++j) {
        float* panel = to + ((i * n + j) * reduced + k) * block.width;
        for (std::int64_t c = 0; c < block.width; ++c) {
          const auto at = static_cast<std::size_t>(c), column = static_cast<std::size_t>(block.width);
          panel[c] =
              static_cast<float>(g[j][0] * half[at] + g[j][1] * half[at + column] + g[j][2] * half[at + 2 * column]);
        }
      }
    }
  }
}

/// Weights at the points: panels [block][point][k][width]; in fixed point their scales as well, [block][point][width].
template <class P>
struct PointWeights {
  Scratch<P> panels;
  Scratch<float> scales;
};

/// One panel in fixed point, and its scales (winograd_tiles.h).
void to_fixed_point(const float* panel, std::int64_t length, std::int64_t width, std::int16_t* to, float* scales) {
  std::vector<std::int16_t> fixed(static_cast<std::size_t>(length * width));
  for (std::int64_t c = 0; c < width; ++c) {
    double squares = 0;
    for (std::int64_t k = 0; k < length; ++k) {
      const auto v = static_cast<double>(panel[k * width + c]);
      squares += v * v;
    }
    const double scale = std::sqrt(squares) / fixed_point_norm;
    scales[c] = static_cast<float>(scale);
    for (std::int64_t k = 0; k < length; ++k)
      fixed[static_cast<std::size_t>(k * width + c)] =
          static_cast<std::int16_t>(scale == 0 ? 0 : std::lrint(static_cast<double>(panel[k * width + c]) / scale));
  }
  pack_panel(fixed.data(), width, 1, length, width, width, to);
}

template <class T, class P>
std::shared_ptr<const PointWeights<P>> transformed_weights(const WinogradConv& conv, const Tensor& w,
                                                           const std::vector<ColumnBlock>& blocks) {
  const std::int64_t points = (conv.m + 2) * (conv.m + 2), reduced = w.dim(conv.gradient ? 3 : 2),
                     panel = tile_steps<P>(reduced) * tile_depth<P>;
  const auto key = layout_key("winograd", {conv.m, conv.gradient, w.offset(), w.dim(2), w.dim(3), blocks.front().width,
                                           static_cast<std::int64_t>(blocks.size()), sizeof(P)});
  return w.storage().derived<PointWeights<P>>(key, [&] {
    constexpr bool fixed = std::is_same_v<P, std::int16_t>;
    const std::int64_t columns = padded_width(blocks) * points;
    PointWeights<P> weights{Scratch<P>(columns * panel), Scratch<float>(fixed ? columns : 0)};
    parallel_for(static_cast<std::int64_t>(blocks.size()), [&](std::int64_t i) {
      const auto& block = blocks[static_cast<std::size_t>(i)];
      P* to = weights.panels.data() + block.offset * points * panel;
      if constexpr (fixed) {
        Scratch<float> exact(block.width * points * reduced);
        transform_block<T>(conv, w, block, exact.data());
        for (std::int64_t p = 0; p < points; ++p)
          to_fixed_point(exact.data() + p * reduced * block.width, reduced, block.width, to + p * panel * block.width,
                         weights.scales.data() + block.offset * points + p * block.width);
      } else
        transform_block<T>(conv, w, block, to);
    });
    return weights;
  });
}

/// Images of T, numbers of P at the points.
template <class T, class P>
class Winograd {
 public:
  Winograd(const WinogradConv& conv, const Tensor& source, const Tensor& w, const Tensor& bias, const Tensor& addend,
           Tensor& out)
      : conv_(conv),
        tiles_(winograd_tiles<T, P>(conv.m)),
        n_(conv.m + 2),
        scales_each_(fixed ? n_ * n_ : 0),
        images_(out.dim(0)),
        source_height_(source.dim(1)),
        source_width_(source.dim(2)),
        height_(out.dim(1)),
        width_(out.dim(2)),
        channels_(out.dim(3)),
        reduced_(source.dim(3)),
        step_((reduced_ + 15) / 16 * 16 + 16),  // a power of two would put all points into the same few cache sets
        down_((out.dim(1) + conv.m - 1) / conv.m),
        across_((out.dim(2) + conv.m - 1) / conv.m),
        blocks_(column_blocks<P>(1, out.dim(3))),
        weights_(transformed_weights<T, P>(conv, w, blocks_)),
        zeros_(static_cast<std::size_t>(std::max(reduced_, channels_))),
        source_(source.data<T>()),
        bias_(bias.defined() ? bias.data<T>() : zeros_.data()),
        bias_step_(bias.defined() && bias.rank() == 2 ? channels_ : 0),
        addend_(addend.defined() ? addend.data<T>() : nullptr),
        out_(out.mutable_data<T>()) {}

  void run() const {
    const std::int64_t tiles = images_ * down_ * across_, tile_bytes = n_ * n_ * step_ * element;
    const std::int64_t bytes = std::clamp(n_ * n_ * reduced_ * channels_ * element / 2, least_stretch, most_stretch);
    const std::int64_t most = std::max(tile_rows, bytes / tile_bytes / tile_rows * tile_rows);
    Scratch<P> points(std::min(tiles, most) * n_ * n_ * step_);
    Scratch<float> scales(std::min(tiles, most) * scales_each_);
    for (std::int64_t first = 0; first < tiles; first += most) {
      const std::int64_t count = std::min(most, tiles - first);
      parallel_tiles(1, count, pack_cost * n_ * n_ * reduced_, [&](std::int64_t, std::int64_t from, std::int64_t to) {
        Scratch<float> room(fixed ? n_ * n_ * step_ : 0);
        for (std::int64_t t = from; t < to; ++t)
          gather(first + t, points.data() + t * n_ * n_ * step_, scales.data() + t * scales_each_, room.data());
      });
      multiply(first, count, points.data(), scales.data());
    }
  }

 private:
  static constexpr bool fixed = std::is_same_v<P, std::int16_t>;
  static constexpr std::int64_t element = sizeof(P);

  struct Position {
    std::int64_t image, y, x;  ///< of a tile's first output
  };
  [[nodiscard]] Position position(std::int64_t tile) const {
    const std::int64_t inside = tile % (down_ * across_);
    return {tile / (down_ * across_), inside / across_ * conv_.m, inside % across_ * conv_.m};
  }

  void gather(std::int64_t tile, P* to, float* scales, float* room) const {
    const Position at = position(tile);
    std::array<const T*, 36> pixels{};
    for (std::int64_t i = 0; i < n_; ++i)
      for (std::int64_t j = 0; j < n_; ++j) {
        const std::int64_t y = at.y + i - conv_.top, x = at.x + j - conv_.left;
        const bool inside = y >= 0 && y < source_height_ && x >= 0 && x < source_width_;
        pixels[static_cast<std::size_t>(i * n_ + j)] =
            inside ? source_ + ((at.image * source_height_ + y) * source_width_ + x) * reduced_ : zeros_.data();
      }
    tiles_.input(pixels.data(), reduced_, step_, to, scales, room);
  }

  /// Tiles [first, first + count), transformed at `points`: their outputs.
  void multiply(std::int64_t first, std::int64_t count, const P* points, const float* scales) const {
    const std::int64_t width = blocks_.front().width;
    const std::int64_t most = std::max(tile_rows, product_bytes / (n_ * n_ * width * 4) / tile_rows * tile_rows);
    // A narrow layer has few column blocks: its tiles are cut, too, where there are some for each thread.
    const std::int64_t blocks = static_cast<std::int64_t>(blocks_.size()), tiles = (count + tile_rows - 1) / tile_rows;
    const std::int64_t parts =
        std::max((count + most - 1) / most, std::min((least_tasks + blocks - 1) / blocks, tiles / 4));
    parallel_for(blocks * parts, [&](std::int64_t task) {
      const std::int64_t part = task % parts;
      const std::int64_t from = tiles * part / parts * tile_rows,
                         to = std::min(count, tiles * (part + 1) / parts * tile_rows);
      const auto& block = blocks_[static_cast<std::size_t>(task / parts)];
      Scratch<TileOut<P>> products((to - from) * n_ * n_ * block.width);
      for (std::int64_t p = 0; p < n_ * n_; ++p)
        multiply_point(p, block, points + from * n_ * n_ * step_, to - from, products.data());
      for (std::int64_t t = from; t < to; ++t)
        scatter(first + t, block, products.data() + (t - from) * n_ * n_ * block.width, scales + t * scales_each_);
    });
  }

  void multiply_point(std::int64_t p, const ColumnBlock& block, const P* points, std::int64_t count,
                      TileOut<P>* products) const {
    const std::int64_t width = block.width, per_tile = n_ * n_, passes = (count + tile_rows - 1) / tile_rows;
    const std::int64_t steps = tile_steps<P>(reduced_), panel_size = steps * tile_depth<P> * width;
    const P* panel = weights_->panels.data() + block.offset * per_tile * steps * tile_depth<P> + p * panel_size;
    tile_kernels<P>().run_rows[static_cast<std::size_t>(block.vectors - 1)](
        {points + p * step_, per_tile * step_, tile_depth<P>, panel, width * tile_depth<P>, reduced_,
         products + p * width, per_tile * width, count, width, false, nullptr, nullptr,
         Ahead::of(panel + panel_size, panel_size * element, steps * passes)});
  }

  void scatter(std::int64_t tile, const ColumnBlock& block, const TileOut<P>* products, const float* scales) const {
    const Position at = position(tile);
    std::array<T*, 16> pixels{};
    std::array<const T*, 16> addend{};
    for (std::int64_t i = 0; i < conv_.m; ++i)
      for (std::int64_t j = 0; j < conv_.m; ++j)
        if (at.y + i < height_ && at.x + j < width_) {
          const std::int64_t to = ((at.image * height_ + at.y + i) * width_ + at.x + j) * channels_ + block.first;
          pixels[static_cast<std::size_t>(i * conv_.m + j)] = out_ + to;
          if (addend_ != nullptr) addend[static_cast<std::size_t>(i * conv_.m + j)] = addend_ + to;
        }
    tiles_.output(products, block.width, scales, weights_->scales.data() + block.offset * scales_each_,
                  bias_ + at.image * bias_step_ + block.first, addend_ ? addend.data() : nullptr, block.count,
                  pixels.data());
  }

  WinogradConv conv_;
  WinogradTiles<T, P> tiles_;
  std::int64_t n_, scales_each_;  ///< scales_each_: of a tile, none where points are floats
  std::int64_t images_, source_height_, source_width_, height_, width_, channels_;
  std::int64_t reduced_, step_, down_, across_;
  std::vector<ColumnBlock> blocks_;
  std::shared_ptr<const PointWeights<P>> weights_;
  std::vector<T> zeros_;
  const T *source_, *bias_;
  std::int64_t bias_step_;  ///< from one image's to the next one's
  const T* addend_;
  T* out_;
};

}  // namespace

void winograd(const WinogradConv& conv, const Tensor& source, const Tensor& w, const Tensor& bias, const Tensor& addend,
              Tensor& out) {
  if (profiling()) profile_note(fmt::format("F({},3)", conv.m));
  require(conv.m == 2 || conv.m == 4, "winograd: there are F(2,3) and F(4,3), not F({},3)", conv.m);
  if (source.dtype() == DType::bf16 && has_pairs())
    Winograd<bf16, std::int16_t>(conv, source, w, bias, addend, out).run();
  else if (source.dtype() == DType::bf16)
    Winograd<bf16, float>(conv, source, w, bias, addend, out).run();
  else
    Winograd<float, float>(conv, source, w, bias, addend, out).run();
}

// A tile must save at least 40 % of the products (it does not where most of it hangs over the edge), and enough of them share
// the trip that the transformed weights, 4 or 1.8 times as large, take through the caches: 9, in wide layers, whose weights are
// long and fill the memory, more. Below 16 channels the transforms cost more than the products.
int winograd_outputs(std::int64_t height, std::int64_t width, std::int64_t in) {
  if (conv_algorithm() == ConvAlgorithm::direct || in < 16) return 0;
  for (const int m : {4, 2}) {
    const std::int64_t tiles = ((height + m - 1) / m) * ((width + m - 1) / m);
    if (tiles >= std::max<std::int64_t>(9, in / 32) && 10 * tiles * (m + 2) * (m + 2) <= 6 * 9 * height * width)
      return m;
  }
  return 0;
}

}  // namespace costate::cpu
