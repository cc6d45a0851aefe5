// Convolution and its data gradient: both gather, per output pixel, the source pixels under the kernel and multiply
// them by packed weights in register tiles of 6 pixels (see micro.h). The weight gradient is in conv2d_dw.cpp.
#include "core/kernels/conv2d.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/kernels/copy.h"
#include "core/kernels/matmul.h"
#include "core/kernels/micro.h"
#include "core/kernels/winograd.h"
#include "core/profile.h"

namespace costate::cpu {
namespace {

/// Tap `index` of the kernel reads the source at q * step + offset for the q-th output of its axis.
struct Tap {
  std::int64_t index, offset;
};

/// One axis of a gather: its outputs are first, first + stride, ... (count of them); taps in the order they are summed.
struct Axis {
  std::int64_t first, stride, count, step, source;
  std::vector<Tap> taps;

  [[nodiscard]] bool inside(std::int64_t position) const { return position >= 0 && position < source; }
};

std::int64_t remainder(std::int64_t a, std::int64_t b) { return (a % b + b) % b; }

/// Forward: output i reads i * stride + a * dilation - before.
Axis forward_axis(std::int64_t outputs, std::int64_t source, std::int64_t taps, std::int64_t stride,
                  std::int64_t dilation, std::int64_t before) {
  Axis axis{0, 1, outputs, stride, source, {}};
  for (std::int64_t a = 0; a < taps; ++a) axis.taps.push_back({a, a * dilation - before});
  return axis;
}

/// Data gradient: input pixel y was read by output (y + before - a * dilation) / stride where that division is exact,
/// so the input pixels of one phase (y mod stride) share a tap list, and no tap of it multiplies by an inserted zero.
std::vector<Axis> gradient_axes(std::int64_t inputs, std::int64_t source, std::int64_t taps, std::int64_t stride,
                                std::int64_t dilation, std::int64_t before) {
  std::vector<Axis> axes;
  for (std::int64_t phase = 0; phase < std::min(stride, inputs); ++phase) {
    Axis axis{phase, stride, (inputs - phase + stride - 1) / stride, 1, source, {}};
    for (std::int64_t a = taps - 1; a >= 0; --a)  // ascending offsets: neighbouring taps read neighbouring pixels
      if (const std::int64_t at = phase + before - a * dilation; remainder(at, stride) == 0)
        axis.taps.push_back({a, at / stride});
    axes.push_back(axis);
  }
  return axes;
}

/// How weights (kh, kw, in, out) are read as a reduction over `reduced` channels of a group to `columns` channels of
/// it.
struct WeightView {
  const char* kind;
  std::int64_t groups, reduced, columns;
  std::int64_t k_step, column_step, tap_step, group_step, kernel_width;
};

WeightView forward_view(const Tensor& w, std::int64_t groups) {
  const std::int64_t in = w.dim(2), out = w.dim(3);
  return {"conv2d", groups, in, out / groups, out, 1, in * out, out / groups, w.dim(1)};
}

WeightView gradient_view(const Tensor& w, std::int64_t groups) {
  const std::int64_t in = w.dim(2), out = w.dim(3);
  return {"conv2d_dx", groups, out / groups, in, 1, out, in * out, out / groups, w.dim(1)};
}

/// Panels [block][row tap][column tap][reduced, whole steps of it][width] of one gather, then a row of zeros for taps outside the source.
template <class T>
struct PackedWeights {
  Scratch<T> panels;
  const T* zeros;
};

template <class T>
PackedWeights<T> pack_weights(const WeightView& view, const Axis& y, const Axis& x, const T* w) {
  const auto blocks = column_blocks<T>(view.groups, view.columns);
  const auto taps = static_cast<std::int64_t>(y.taps.size() * x.taps.size());
  const std::int64_t tap_length = tile_steps<T>(view.reduced) * tile_depth<T>;
  const std::int64_t panels = padded_width(blocks) * taps * tap_length;
  const std::int64_t zeros = static_cast<std::int64_t>(x.taps.size()) * view.reduced;
  PackedWeights<T> packed{Scratch<T>(panels + zeros), nullptr};
  T* to = packed.panels.data();
  for (const auto& block : blocks) {
    const T* from = w + block.group * view.group_step + (block.first - block.group * view.columns) * view.column_step;
    for (const auto& a : y.taps)
      for (const auto& b : x.taps) {
        pack_panel(from + (a.index * view.kernel_width + b.index) * view.tap_step, view.k_step, view.column_step,
                   view.reduced, block.count, block.width, to);
        to += tap_length * block.width;
      }
  }
  packed.zeros = to;
  std::fill_n(to, zeros, T{});
  return packed;
}

/// The pack hangs on the storage of the weights: frozen weights are packed once.
template <class T>
std::shared_ptr<const PackedWeights<T>> packed_weights(const WeightView& view, const Axis& y, const Axis& x,
                                                       const Tensor& w) {
  std::string key =
      layout_key(view.kind, {w.offset(), w.dim(0), w.dim(1), w.dim(2), w.dim(3), sizeof(T), view.groups,
                             tile_kernels<T>().lanes * tile_kernels<T>().vectors,
                             static_cast<std::int64_t>(y.taps.size()), static_cast<std::int64_t>(x.taps.size())});
  for (const auto& tap : y.taps) key += layout_key("", {tap.index});
  for (const auto& tap : x.taps) key += layout_key("", {tap.index});
  return w.storage().derived<PackedWeights<T>>(key, [&] { return pack_weights(view, y, x, w.data<T>()); });
}

/// One set of output pixels that share their taps: all of them forward, one phase of the stride in the data gradient.
template <class T>
class Gather {
 public:
  Gather(const WeightView& view, const Axis& y, const Axis& x, const Tensor& source, const Tensor& w)
      : view_(view),
        y_(y),
        x_(x),
        weights_(packed_weights<T>(view, y, x, w)),
        source_(source.data<T>()),
        channels_(source.dim(3)),
        blocks_(column_blocks<T>(view.groups, view.columns)) {
    rows_join_ = view.groups == 1 && view.reduced % tile_depth<T> == 0;
    for (std::size_t b = 1; b < x_.taps.size(); ++b) rows_join_ &= x_.taps[b].offset == x_.taps[b - 1].offset + 1;
  }

  void run(Tensor& out, const Tensor& bias = {}, const Tensor& addend = {}) const {
    const std::int64_t images = out.dim(0), tiles = (y_.count * x_.count + tile_rows - 1) / tile_rows;
    const auto taps = static_cast<std::int64_t>(y_.taps.size() * x_.taps.size());
    Target to{out.mutable_data<T>(), bias.defined() ? bias.data<T>() : nullptr,
              addend.defined() ? addend.data<T>() : nullptr, out.dim(2), out.dim(3)};
    const std::int64_t start_step = bias.defined() && bias.rank() == 2 ? bias.dim(1) : 0;
    // Blocks outermost: the panels of one stay in the cache while images and pixels go by.
    parallel_tiles(static_cast<std::int64_t>(blocks_.size()) * images, tiles,
                   2 * tile_rows * blocks_.front().width * taps * view_.reduced,
                   [&](std::int64_t piece, std::int64_t first, std::int64_t last) {
                     const std::int64_t image = piece % images;
                     const auto& block = blocks_[static_cast<std::size_t>(piece / images)];
                     run_tiles(block, image, first, last, to.from(image * (out.size() / images), image * start_step));
                   });
  }

 private:
  /// Where the pixels of a tile start reading (before tap offsets), and what they write.
  struct Pixels {
    std::int64_t rows;
    std::array<std::int64_t, tile_rows> y, x;
    bool interior;  ///< no column tap of any pixel falls outside the source
  };

  /// Where results of an image go, and what is added to them: null, or one row of channels, and as many values as results.
  struct Target {
    T* out;
    const T *bias, *addend;
    std::int64_t width, channels;

    [[nodiscard]] Target from(std::int64_t image, std::int64_t row) const {
      return {out + image, bias ? bias + row : nullptr, addend ? addend + image : nullptr, width, channels};
    }
  };

  void run_tiles(const ColumnBlock& block, std::int64_t image, std::int64_t first, std::int64_t last,
                 const Target& to) const {
    const auto taps = static_cast<std::int64_t>(y_.taps.size() * x_.taps.size());
    const std::int64_t steps = taps * tile_steps<T>(view_.reduced), panel = steps * tile_depth<T>;
    const T* panels = weights_->panels.data() + block.offset * panel;
    const T* source = source_ + image * y_.source * x_.source * channels_ + block.group * view_.reduced;
    const auto& tiles = tile_kernels<T>();
    // The next block's panels come while the tiles of this one go by.
    const std::int64_t all = (y_.count * x_.count + tile_rows - 1) / tile_rows;
    const Ahead ahead = Ahead::of(panels + panel * block.width,
                                  panel * block.width * static_cast<std::int64_t>(sizeof(T)), steps * all);
    std::vector<Segment<T>> segments(static_cast<std::size_t>(taps));
    TileWork<T> work{segments.data(),
                     0,
                     tile_depth<T>,
                     block.width * tile_depth<T>,
                     {},
                     block.count,
                     false,
                     to.bias ? to.bias + block.first : nullptr};
    for (std::int64_t tile = first; tile < last; ++tile) {
      Pixels pixels{std::min(tile_rows, y_.count * x_.count - tile * tile_rows), {}, {}, !x_.taps.empty()};
      for (std::int64_t p = 0; p < pixels.rows; ++p) {
        const std::int64_t q = tile * tile_rows + p, i = q / x_.count, j = q % x_.count;
        const auto at = static_cast<std::size_t>(p);
        pixels.y[at] = i * y_.step;
        pixels.x[at] = j * x_.step;
        pixels.interior = pixels.interior && x_.inside(pixels.x[at] + x_.taps.front().offset) &&
                          x_.inside(pixels.x[at] + x_.taps.back().offset);
        const std::int64_t place =
            ((y_.first + i * y_.stride) * to.width + x_.first + j * x_.stride) * to.channels + block.first;
        work.out[at] = to.out + place;
        if (to.addend != nullptr) work.addend[at] = to.addend + place;
      }
      work.ahead = ahead.after(steps * tile);
      work.count = gather(pixels, source, panels, block.width, segments.data()) - segments.data();
      tiles.run[static_cast<std::size_t>(pixels.rows - 1)][static_cast<std::size_t>(block.vectors - 1)](work);
    }
  }

  /// Writes the segments of a tile, one per tap or, away from the left and right edges, one per row of taps (the same
  /// sum: neighbouring taps lie next to each other in source and panel). A tap that no pixel sees is left out.
  Segment<T>* gather(const Pixels& pixels, const T* source, const T* panel, std::int64_t width,
                     Segment<T>* segment) const {
    const auto columns = static_cast<std::int64_t>(x_.taps.size());
    const bool join = pixels.interior && rows_join_;
    const std::int64_t length = join ? columns * view_.reduced : view_.reduced,
                       panel_length = tile_steps<T>(length) * tile_depth<T>;
    for (const auto& row : y_.taps)
      for (std::int64_t b = 0; b < columns; b += join ? columns : 1, panel += panel_length * width) {
        const std::int64_t offset = x_.taps[static_cast<std::size_t>(b)].offset;
        bool seen = false;
        for (std::size_t p = 0; p < static_cast<std::size_t>(pixels.rows); ++p) {
          const std::int64_t y = pixels.y[p] + row.offset, x = pixels.x[p] + offset;
          const bool valid = y_.inside(y) && x_.inside(x);
          segment->a[p] = valid ? source + (y * x_.source + x) * channels_ : weights_->zeros;
          seen |= valid;
        }
        segment->b = panel;
        segment->length = length;
        segment += seen ? 1 : 0;
      }
    return segment;
  }

  WeightView view_;
  Axis y_, x_;
  std::shared_ptr<const PackedWeights<T>> weights_;
  const T* source_;
  std::int64_t channels_;
  std::vector<ColumnBlock> blocks_;
  bool rows_join_;
};

/// Outputs a Winograd tile has along an axis, or 0 where the direct convolution is to run.
int winograd_of(const ConvGeometry& g, const Tensor& out, const Tensor& w, std::int64_t reduced) {
  return can_be_winograd(g, w) ? winograd_outputs(out.dim(1), out.dim(2), reduced) : 0;
}

void note_direct(const Tensor& w) {
  if (profiling()) profile_note(fmt::format("{}x{} direct", w.dim(0), w.dim(1)));
}

/// One tap and nothing around: rows of channels by a matrix, with the same chain of sums an element.
bool is_product(const ConvGeometry& g, const Tensor& w) {
  return w.dim(0) == 1 && w.dim(1) == 1 && g.stride_h == 1 && g.stride_w == 1 && g.groups == 1 && g.top == 0 &&
         g.bottom == 0 && g.left == 0 && g.right == 0;
}

Tensor as_matrix(const Tensor& t) { return t.reshaped({1, t.size() / t.dim(3), t.dim(3)}); }

void run_product(bool transpose, const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& addend,
                 Tensor& y) {
  const Shape shape = y.shape();
  Tensor rows = as_matrix(std::exchange(y, {}));  // one owner, or it could not be written to
  matmul(false, transpose, as_matrix(x), as_matrix(w), bias, addend.defined() ? as_matrix(addend) : addend, rows);
  y = rows.reshaped(shape);
}

std::atomic<ConvAlgorithm>& algorithm(Device device) {
  static std::array<std::atomic<ConvAlgorithm>, device_count> chosen{ConvAlgorithm::own, ConvAlgorithm::own};
  return chosen[static_cast<std::size_t>(device)];
}

}  // namespace

void conv2d(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& addend,
            Tensor& y) {
  if (y.size() == 0) return;
  const auto& g = geometry;
  if (const int m = winograd_of(g, y, w, w.dim(2))) return winograd({m, false, g.top, g.left}, x, w, bias, addend, y);
  if (is_product(g, w) && (!bias.defined() || bias.rank() == 1)) return run_product(false, x, w, bias, addend, y);
  if (x.dtype() == DType::bf16 && !has_pairs())
    return through_f32(y, [&](Tensor& wide) {
      conv2d(g, to_compute(x), to_compute_weight(w), to_compute(bias), to_compute(addend), wide);
    });
  note_direct(w);
  const Axis rows = forward_axis(y.dim(1), x.dim(1), w.dim(0), g.stride_h, g.dilation_h, g.top);
  const Axis columns = forward_axis(y.dim(2), x.dim(2), w.dim(1), g.stride_w, g.dilation_w, g.left);
  visit_floating(x.dtype(), "conv2d", [&](auto tag) {
    Gather<decltype(tag)>(forward_view(w, g.groups), rows, columns, x, w).run(y, bias, addend);
  });
}

void conv2d_dx(const ConvGeometry& geometry, const Tensor& g, const Tensor& w, const Tensor& addend, Tensor& dx) {
  if (dx.size() == 0) return;
  const auto& at = geometry;
  if (const int m = winograd_of(at, dx, w, w.dim(3)))
    return winograd({m, true, 2 - at.top, 2 - at.left}, g, w, {}, addend, dx);
  if (is_product(at, w)) return run_product(true, g, w, {}, addend, dx);
  if (g.dtype() == DType::bf16 && !has_pairs())
    return through_f32(
        dx, [&](Tensor& wide) { conv2d_dx(at, to_compute(g), to_compute_weight(w), to_compute(addend), wide); });
  note_direct(w);
  const auto columns = gradient_axes(dx.dim(2), g.dim(2), w.dim(1), at.stride_w, at.dilation_w, at.left);
  visit_floating(g.dtype(), "conv2d_dx", [&](auto tag) {
    for (const auto& row : gradient_axes(dx.dim(1), g.dim(1), w.dim(0), at.stride_h, at.dilation_h, at.top))
      for (const auto& column : columns)
        Gather<decltype(tag)>(gradient_view(w, at.groups), row, column, g, w).run(dx, {}, addend);
  });
}

}  // namespace costate::cpu

namespace costate {

ConvAlgorithm conv_algorithm(Device device) { return cpu::algorithm(device).load(std::memory_order_relaxed); }
void set_conv_algorithm(ConvAlgorithm algorithm, Device device) {
  require(device != Device::cpu || algorithm == ConvAlgorithm::own || algorithm == ConvAlgorithm::direct,
          "conv2d: a CPU has no library of its maker's here");
  cpu::algorithm(device).store(algorithm, std::memory_order_relaxed);
}

}  // namespace costate
