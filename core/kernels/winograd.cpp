// Winograd convolution: y = A^T [ (G w G^T) . (B^T x B) ] A over tiles of m x m outputs, one matrix product a point.
//
// Tiles of all images form one list. It goes by in stretches: the tiles of a stretch are transformed (by threads), then
// (column block, tiles) tasks multiply them point by point and transform back, so products never leave the cache of the core
// that made them. Every number depends on its own tile only.
#include "core/kernels/winograd.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "core/kernels/micro.h"
#include "core/kernels/winograd_matrices.h"
#include "core/kernels/winograd_tiles.h"
#include "core/parallel.h"
#include "core/profile.h"

namespace costate::cpu {
namespace {

// Transformed tiles of a stretch: a part of the last cache, more where the weights that every stretch goes past are long.
constexpr std::int64_t least_stretch = 2 << 20, most_stretch = 4 << 20;
constexpr std::int64_t product_bytes = 256 << 10;  // products of one task: half a second cache

/// One column block of G w G^T: panels [point][k][width], computed in f64.
void transform_block(const WinogradConv& conv, const Tensor& w, const ColumnBlock& block, float* to) {
  static constexpr WinogradMatrices<2> two;
  static constexpr WinogradMatrices<4> four;
  const auto* g = conv.m == 2 ? two.g : four.g;
  const std::int64_t n = conv.m + 2, in = w.dim(2), out = w.dim(3), reduced = conv.gradient ? out : in;
  const std::int64_t k_step = conv.gradient ? 1 : out, column_step = conv.gradient ? out : 1;
  std::vector<double> taps(static_cast<std::size_t>(9 * block.width)), half(static_cast<std::size_t>(3 * block.width));
  for (std::int64_t k = 0; k < reduced; ++k) {
    for (std::int64_t tap = 0; tap < 9; ++tap) {
      const float* from =
          w.data<float>() + (conv.gradient ? 8 - tap : tap) * in * out + k * k_step + block.first * column_step;
      for (std::int64_t c = 0; c < block.count; ++c)
        taps[static_cast<std::size_t>(tap * block.width + c)] = static_cast<double>(from[c * column_step]);
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

std::shared_ptr<const Scratch<float>> transformed_weights(const WinogradConv& conv, const Tensor& w,
                                                          const std::vector<ColumnBlock>& blocks) {
  const std::int64_t panel = (conv.m + 2) * (conv.m + 2) * w.dim(conv.gradient ? 3 : 2);
  const auto key = layout_key("winograd", {conv.m, conv.gradient, w.offset(), w.dim(2), w.dim(3), blocks.front().width,
                                           static_cast<std::int64_t>(blocks.size())});
  return w.storage().derived<Scratch<float>>(key, [&] {
    Scratch<float> panels(padded_width(blocks) * panel);
    parallel_for(static_cast<std::int64_t>(blocks.size()), [&](std::int64_t i) {
      const auto& block = blocks[static_cast<std::size_t>(i)];
      transform_block(conv, w, block, panels.data() + block.offset * panel);
    });
    return panels;
  });
}

class Winograd {
 public:
  Winograd(const WinogradConv& conv, const Tensor& source, const Tensor& w, const Tensor& bias, const Tensor& addend,
           Tensor& out)
      : conv_(conv),
        tiles_(winograd_tiles(conv.m)),
        n_(conv.m + 2),
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
        blocks_(column_blocks<float>(1, out.dim(3))),
        weights_(transformed_weights(conv, w, blocks_)),
        zeros_(static_cast<std::size_t>(std::max(reduced_, channels_))),
        source_(source.data<float>()),
        bias_(bias.defined() ? bias.data<float>() : zeros_.data()),
        bias_step_(bias.defined() && bias.rank() == 2 ? channels_ : 0),
        addend_(addend.defined() ? addend.data<float>() : nullptr),
        out_(out.mutable_data<float>()) {}

  void run() const {
    const std::int64_t tiles = images_ * down_ * across_, tile_bytes = n_ * n_ * step_ * 4;
    const std::int64_t bytes = std::clamp(n_ * n_ * reduced_ * channels_ * 2, least_stretch, most_stretch);
    const std::int64_t most = std::max(tile_rows, bytes / tile_bytes / tile_rows * tile_rows);
    Scratch<float> points(std::min(tiles, most) * n_ * n_ * step_);
    for (std::int64_t first = 0; first < tiles; first += most) {
      const std::int64_t count = std::min(most, tiles - first);
      parallel_tiles(1, count, pack_cost * n_ * n_ * reduced_, [&](std::int64_t, std::int64_t from, std::int64_t to) {
        for (std::int64_t t = from; t < to; ++t) gather(first + t, points.data() + t * n_ * n_ * step_);
      });
      multiply(first, count, points.data());
    }
  }

 private:
  struct Position {
    std::int64_t image, y, x;  ///< of a tile's first output
  };
  [[nodiscard]] Position position(std::int64_t tile) const {
    const std::int64_t inside = tile % (down_ * across_);
    return {tile / (down_ * across_), inside / across_ * conv_.m, inside % across_ * conv_.m};
  }

  void gather(std::int64_t tile, float* to) const {
    const Position at = position(tile);
    std::array<const float*, 36> pixels{};
    for (std::int64_t i = 0; i < n_; ++i)
      for (std::int64_t j = 0; j < n_; ++j) {
        const std::int64_t y = at.y + i - conv_.top, x = at.x + j - conv_.left;
        const bool inside = y >= 0 && y < source_height_ && x >= 0 && x < source_width_;
        pixels[static_cast<std::size_t>(i * n_ + j)] =
            inside ? source_ + ((at.image * source_height_ + y) * source_width_ + x) * reduced_ : zeros_.data();
      }
    tiles_.input(pixels.data(), reduced_, step_, to);
  }

  /// Tiles [first, first + count), transformed at `points`: their outputs.
  void multiply(std::int64_t first, std::int64_t count, const float* points) const {
    const std::int64_t width = blocks_.front().width;
    const std::int64_t most = std::max(tile_rows, product_bytes / (n_ * n_ * width * 4) / tile_rows * tile_rows);
    const std::int64_t parts = (count + most - 1) / most, tiles = (count + tile_rows - 1) / tile_rows;
    parallel_for(static_cast<std::int64_t>(blocks_.size()) * parts, [&](std::int64_t task) {
      const std::int64_t part = task % parts;
      const std::int64_t from = tiles * part / parts * tile_rows,
                         to = std::min(count, tiles * (part + 1) / parts * tile_rows);
      const auto& block = blocks_[static_cast<std::size_t>(task / parts)];
      Scratch<float> products((to - from) * n_ * n_ * block.width);
      for (std::int64_t p = 0; p < n_ * n_; ++p)
        multiply_point(p, block, points + from * n_ * n_ * step_, to - from, products.data());
      for (std::int64_t t = from; t < to; ++t)
        scatter(first + t, block, products.data() + (t - from) * n_ * n_ * block.width);
    });
  }

  void multiply_point(std::int64_t p, const ColumnBlock& block, const float* points, std::int64_t count,
                      float* products) const {
    const std::int64_t width = block.width, per_tile = n_ * n_, passes = (count + tile_rows - 1) / tile_rows;
    const float* panel = weights_->data() + (block.offset * per_tile + p * width) * reduced_;
    tile_kernels<float>().run_rows[static_cast<std::size_t>(block.vectors - 1)](
        {points + p * step_, per_tile * step_, 1, panel, width, reduced_, products + p * width, per_tile * width, count,
         width, false, nullptr, nullptr, Ahead::of(panel + reduced_ * width, reduced_ * width * 4, reduced_ * passes)});
  }

  void scatter(std::int64_t tile, const ColumnBlock& block, const float* products) const {
    const Position at = position(tile);
    std::array<float*, 16> pixels{};
    std::array<const float*, 16> addend{};
    for (std::int64_t i = 0; i < conv_.m; ++i)
      for (std::int64_t j = 0; j < conv_.m; ++j)
        if (at.y + i < height_ && at.x + j < width_) {
          const std::int64_t to = ((at.image * height_ + at.y + i) * width_ + at.x + j) * channels_ + block.first;
          pixels[static_cast<std::size_t>(i * conv_.m + j)] = out_ + to;
          if (addend_ != nullptr) addend[static_cast<std::size_t>(i * conv_.m + j)] = addend_ + to;
        }
    tiles_.output(products, block.width, bias_ + at.image * bias_step_ + block.first, addend_ ? addend.data() : nullptr,
                  block.count, pixels.data());
  }

  WinogradConv conv_;
  WinogradTiles tiles_;
  std::int64_t n_;
  std::int64_t images_, source_height_, source_width_, height_, width_, channels_;
  std::int64_t reduced_, step_, down_, across_;
  std::vector<ColumnBlock> blocks_;
  std::shared_ptr<const Scratch<float>> weights_;
  std::vector<float> zeros_;
  const float *source_, *bias_;
  std::int64_t bias_step_;  ///< from one image's to the next one's
  const float* addend_;
  float* out_;
};

}  // namespace

void winograd(const WinogradConv& conv, const Tensor& source, const Tensor& w, const Tensor& bias, const Tensor& addend,
              Tensor& out) {
  if (profiling()) profile_note(fmt::format("F({},3)", conv.m));
  Winograd(conv, source, w, bias, addend, out).run();
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
