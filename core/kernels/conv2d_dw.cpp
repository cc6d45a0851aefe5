// The weight gradient of a convolution: for every tap a matrix product x^T g over the pixels that the tap sees.
//
// Pixels go by in chunks of about 1024, so that a packed panel of g fits the second cache; dw itself carries the sums
// from chunk to chunk. Every element of dw is one chain over images, rows and pixels in order.
#include <algorithm>
#include <vector>

#include "core/kernels/conv2d.h"
#include "core/kernels/micro.h"

namespace costate::cpu {
namespace {

/// A run of output pixels and the input pixels one tap pairs them with, counted from the chunk's first.
struct Run {
  std::int64_t x, g, length;
};

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

template <class T>
class WeightGradient {
 public:
  WeightGradient(const ConvGeometry& geometry, const Tensor& x, const Tensor& g, Tensor& dw)
      : geometry_(geometry),
        x_(x),
        g_(g),
        shape_(dw.shape()),
        x_data_(x.data<T>()),
        g_data_(g.data<T>()),
        out_(dw.mutable_data<T>()),
        columns_(column_blocks<T>(geometry.groups, g.dim(3) / geometry.groups)),
        rows_(column_blocks(geometry.groups, x.dim(3) / geometry.groups, tile_rows, 1)) {}

  void run() const {
    const std::int64_t rows = g_.dim(0) * g_.dim(1), step = std::max<std::int64_t>(1, 1024 / g_.dim(2));
    for (std::int64_t first = 0; first < rows; first += step) add_chunk(first, std::min(first + step, rows));
  }

 private:
  /// Adds output rows [first, last) of the batch, images laid end to end.
  void add_chunk(std::int64_t first, std::int64_t last) const {
    const std::int64_t begin = input_row(first, 0), end = std::max(begin, input_row(last - 1, shape_[0] - 1) + 1);
    const std::int64_t x_pixels = (end - begin) * x_.dim(2), g_pixels = (last - first) * g_.dim(2);
    Scratch<T> x_panels(x_pixels * padded_width(rows_)), g_panels(g_pixels * padded_width(columns_));
    pack(rows_, x_data_ + begin * x_.dim(2) * x_.dim(3), x_.dim(3), x_pixels, x_panels.data());
    pack(columns_, g_data_ + first * g_.dim(2) * g_.dim(3), g_.dim(3), g_pixels, g_panels.data());

    const std::int64_t taps = shape_[0] * shape_[1];
    std::vector<std::vector<Run>> runs;
    for (std::int64_t tap = 0; tap < taps; ++tap)
      runs.push_back(tap_runs(tap / shape_[1], tap % shape_[1], first, last, begin));

    const auto columns = static_cast<std::int64_t>(columns_.size()),
               tiles = static_cast<std::int64_t>(rows_.size()) / geometry_.groups;
    const std::int64_t flops = 2 * taps * g_pixels * tile_rows * columns_.front().width;
    parallel_tiles(columns, tiles, flops, [&](std::int64_t piece, std::int64_t from, std::int64_t to) {
      const auto& column = columns_[static_cast<std::size_t>(piece)];
      std::vector<Segment<T>> segments;
      for (std::int64_t tile = from; tile < to; ++tile) {
        const auto& row = rows_[static_cast<std::size_t>(column.group * tiles + tile)];
        for (std::int64_t tap = 0; tap < taps; ++tap)
          add_tile(tap, runs[static_cast<std::size_t>(tap)], row, x_panels.data() + row.offset * x_pixels, column,
                   g_panels.data() + column.offset * g_pixels, first > 0, segments);
      }
    });
  }

  /// The input row, counted over the whole batch, that tap row `a` reads for an output row, clipped to its image.
  [[nodiscard]] std::int64_t input_row(std::int64_t output_row, std::int64_t a) const {
    const std::int64_t image = output_row / g_.dim(1), i = output_row % g_.dim(1);
    const std::int64_t y = i * geometry_.stride_h + a * geometry_.dilation_h - geometry_.top;
    return image * x_.dim(1) + std::clamp<std::int64_t>(y, 0, x_.dim(1) - 1);
  }

  static void pack(const std::vector<ColumnBlock>& blocks, const T* in, std::int64_t channels, std::int64_t pixels,
                   T* out) {
    const auto pieces = static_cast<std::int64_t>(blocks.size());
    parallel_tiles(1, pieces, pack_cost * pixels * blocks.front().width,
                   [&](std::int64_t, std::int64_t from, std::int64_t to) {
                     for (auto i = static_cast<std::size_t>(from); i < static_cast<std::size_t>(to); ++i)
                       pack_panel(in + blocks[i].first, channels, 1, pixels, blocks[i].count, blocks[i].width,
                                  out + blocks[i].offset * pixels);
                   });
  }

  /// The pixels tap (a, b) sees in output rows [first, last); stretches that touch in both images are joined.
  [[nodiscard]] std::vector<Run> tap_runs(std::int64_t a, std::int64_t b, std::int64_t first, std::int64_t last,
                                          std::int64_t x_begin) const {
    const auto& at = geometry_;
    const std::int64_t shift = b * at.dilation_w - at.left;  // output column j reads input column j * stride + shift
    const std::int64_t begin = std::clamp<std::int64_t>(divide_up(-shift, at.stride_w), 0, g_.dim(2));
    const std::int64_t end = std::clamp<std::int64_t>(divide_up(x_.dim(2) - shift, at.stride_w), begin, g_.dim(2));
    std::vector<Run> runs;
    for (std::int64_t row = first; begin < end && row < last; ++row) {
      const std::int64_t y = row % g_.dim(1) * at.stride_h + a * at.dilation_h - at.top;
      if (y < 0 || y >= x_.dim(1)) continue;
      const std::int64_t x_row = row / g_.dim(1) * x_.dim(1) + y - x_begin;
      const Run run{x_row * x_.dim(2) + begin * at.stride_w + shift, (row - first) * g_.dim(2) + begin, end - begin};
      const bool joins = at.stride_w == 1 && !runs.empty() && runs.back().x + runs.back().length == run.x &&
                         runs.back().g + runs.back().length == run.g;
      if (joins)
        runs.back().length += run.length;
      else
        runs.push_back(run);
    }
    return runs;
  }

  void add_tile(std::int64_t tap, const std::vector<Run>& runs, const ColumnBlock& row, const T* x,
                const ColumnBlock& column, const T* g, bool accumulate, std::vector<Segment<T>>& segments) const {
    segments.resize(runs.size());
    for (std::size_t i = 0; i < runs.size(); ++i) {
      for (std::size_t p = 0; p < tile_rows; ++p) segments[i].a[p] = x + runs[i].x * tile_rows + p;
      segments[i].b = g + runs[i].g * column.width;
      segments[i].length = runs[i].length;
    }
    TileWork<T> work{segments.data(),
                     static_cast<std::int64_t>(runs.size()),
                     tile_rows * geometry_.stride_w,
                     column.width,
                     {},
                     column.count,
                     accumulate};
    const std::int64_t in = row.first - row.group * shape_[2];
    for (std::int64_t p = 0; p < row.count; ++p)
      work.out[static_cast<std::size_t>(p)] = out_ + ((tap * shape_[2] + in + p) * shape_[3]) + column.first;
    tile_kernels<T>().run[static_cast<std::size_t>(row.count - 1)][static_cast<std::size_t>(column.vectors - 1)](work);
  }

  ConvGeometry geometry_;
  Tensor x_, g_;
  Shape shape_;  ///< of dw: (kh, kw, in / groups, out)
  const T *x_data_, *g_data_;
  T* out_;
  std::vector<ColumnBlock> columns_, rows_;
};

}  // namespace

void conv2d_dw(const ConvGeometry& geometry, const Tensor& x, const Tensor& g, Tensor& dw) {
  visit_compute(x.dtype(), "conv2d_dw", [&](auto tag) {
    using T = decltype(tag);
    if (x.size() == 0 || g.size() == 0)
      std::fill_n(dw.mutable_data<T>(), dw.size(), T{});
    else
      WeightGradient<T>(geometry, x, g, dw).run();
  });
}

}  // namespace costate::cpu
