// Resampling as ops. A FIR filter is separable and a grouped convolution in each direction.
#include "nn/resampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/resample.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/rows.h"
#include "autodiff/ops/slice.h"

namespace costate {
namespace {

constexpr std::int64_t group_width = 16;  // channels of a group: what fills a vector register

/// The filter down the rows, or along them, of images with so many channels: a convolution that keeps channels apart.
/// Groups of one channel would leave most of a register idle, so a group has up to 16 and a diagonal weight.
Tensor filter_weight(const Filter& filter, bool rows, std::int64_t channels, double strength, Kind kind) {
  const std::int64_t width = std::gcd(channels, group_width), taps = static_cast<std::int64_t>(filter.size());
  std::vector<double> values;
  for (const double tap : filter)
    for (std::int64_t in = 0; in < width; ++in)
      for (std::int64_t out = 0; out < channels; ++out) values.push_back(out % width == in ? strength * tap : 0);
  return Tensor::from(values, {rows ? taps : 1, rows ? 1 : taps, width, channels}, kind);
}

/// Stride and zeros of that convolution.
ConvGeometry filter_geometry(bool rows, std::int64_t channels, std::int64_t stride, std::int64_t before,
                             std::int64_t after) {
  ConvGeometry g{.groups = channels / std::gcd(channels, group_width)};
  if (rows)
    g.stride_h = stride, g.top = before, g.bottom = after;
  else
    g.stride_w = stride, g.left = before, g.right = after;
  return g;
}

Tensor filtered(const Tensor& x, const Filter& filter, std::int64_t stride, std::int64_t padding) {
  const std::int64_t before = (padding + 1) / 2, after = padding / 2;
  Tensor y = x;
  for (const bool rows : {true, false})
    y = conv2d(y, filter_weight(filter, rows, x.dim(3), 1, x.kind()),
               filter_geometry(rows, x.dim(3), stride, before, after));
  return y;
}

// Putting zeros between and filtering is the transpose of filtering and dropping.
Tensor fir_up(const Tensor& x, const Filter& filter, std::int64_t height, std::int64_t width, std::int64_t padding) {
  const auto up = [&](const Tensor& y, bool rows, const Shape& to) {
    return conv2d_dx(y, filter_weight(filter, rows, x.dim(3), 2, x.kind()), to,
                     filter_geometry(rows, x.dim(3), 2, padding / 2, (padding + 1) / 2));
  };
  const Shape tall = x.shape().with(1, height);
  return up(up(x, true, tall), false, tall.with(2, width));
}

/// x with one more pixel on each side, the edge being the mirror.
Tensor mirrored(Tensor x) {
  for (const int axis : {1, 2}) {
    require(x.dim(axis) >= 2, "resample: {} is too small to be mirrored at its edges", x.shape());
    x = concat({slice(x, axis, 1, 1), x, slice(x, axis, x.dim(axis) - 2, 1)}, axis);
  }
  return x;
}

/// x without what is odd of its height and width, at the far ends.
Tensor even_part(Tensor x) {
  for (const int axis : {1, 2})
    if (x.dim(axis) % 2 != 0) x = slice(x, axis, 0, x.dim(axis) - 1);
  return x;
}

bool is_box(const Filter& filter) { return filter.size() == 2; }  // symmetric with sum 1

}  // namespace

Filter make_filter(const std::string& what, const std::vector<std::int64_t>& taps) {
  const auto sum = static_cast<double>(std::accumulate(taps.begin(), taps.end(), std::int64_t{0}));
  require(taps.size() >= 2 && sum != 0 && std::equal(taps.begin(), taps.end(), taps.rbegin()),
          "{}: a filter of {} taps is not supported; supported: two or more, symmetric, e.g. 1 3 3 1", what,
          taps.size());
  Filter filter;
  for (const auto tap : taps) filter.push_back(static_cast<double>(tap) / sum);
  return filter;
}

Filter filter_from(const Tensor& kernel) {
  require(kernel.rank() == 4 && kernel.dim(2) == kernel.dim(3) && kernel.dim(2) >= 2 &&
              kernel.size() == kernel.dim(2) * kernel.dim(3),
          "resample: a stored filter should be (1, 1, k, k), is {}", kernel.shape());
  const auto values = numbers_of(kernel);  // read once: an evaluation that waits for a device is not repeated by it
  const std::int64_t taps = kernel.dim(2);
  Filter filter;  // the sum of a row of the outer product: the other direction sums to 1
  for (std::int64_t i = 0; i < taps; ++i)
    filter.push_back(std::accumulate(values->begin() + i * taps, values->begin() + (i + 1) * taps, 0.0));
  return filter;
}

Tensor resample(Resampling how, const Tensor& x, const Filter& filter) {
  const bool filters = how == Resampling::fir_down || how == Resampling::mirrored_down || how == Resampling::fir_blur;
  require(!filters || (x.dim(1) % 2 == 0 && x.dim(2) % 2 == 0), "resample: cannot halve {}: odd height or width",
          x.shape());
  const auto taps = static_cast<std::int64_t>(filter.size());
  const std::int64_t height = 2 * x.dim(1), width = 2 * x.dim(2);  // on the way up
  switch (how) {
    case Resampling::none:
      return x;
    case Resampling::mean_down:
      return downsample_mean2(even_part(x));
    case Resampling::nearest_up:
      return upsample_nearest2(x);
    case Resampling::fir_down:
      return is_box(filter) ? downsample_mean2(x) : filtered(x, filter, 2, taps - 2);
    case Resampling::fir_up:
      return is_box(filter) ? upsample_nearest2(x) : fir_up(x, filter, height, width, taps - 2);
    case Resampling::mirrored_down:
      return filtered(mirrored(x), filter, 2, taps - 4);
    case Resampling::mirrored_up:
      return fir_up(mirrored(x), filter, height, width, taps + 2);
    case Resampling::fir_blur:
      return filtered(x, filter, 1, taps);
  }
  fail("resample: unknown kind {}", static_cast<int>(how));
}

namespace {

/// Rows of x (blocks * from, d), each block at another length.
Tensor stretch(const Tensor& x, std::int64_t blocks, std::int64_t from, std::int64_t to) {
  std::vector<double> index;
  for (std::int64_t block = 0; block < blocks; ++block)
    for (std::int64_t i = 0; i < to; ++i) index.push_back(static_cast<double>(block * from + i * from / to));
  return gather_rows(x, Tensor::from(index, {blocks * to}, DType::i32));
}

}  // namespace

Tensor resize_nearest(const Tensor& x, std::int64_t height, std::int64_t width) {
  const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  if (height == h && width == w) return x;
  if (height == 2 * h && width == 2 * w) return upsample_nearest2(x);
  const Tensor tall = stretch(reshape(x, {n * h, w * c}), n, h, height);
  return reshape(stretch(reshape(tall, {n * height * w, c}), n * height, w, width), {n, height, width, c});
}

}  // namespace costate
