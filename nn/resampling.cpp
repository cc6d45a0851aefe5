// Resampling as ops. The FIR filter is separable and a grouped convolution in each direction.
#include "nn/resampling.h"

#include <array>
#include <numeric>

#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/resample.h"

namespace costate {
namespace {

// StyleGAN2's filter, as in NCSN++ (Song et al. 2021, arXiv:2011.13456, appendix H), one direction at a time.
constexpr std::array<double, 4> fir = {0.125, 0.375, 0.375, 0.125};
constexpr std::int64_t group_width = 16;  // channels of a group: what fills a vector register

/// The filter down the rows, or along them, of images with so many channels: a convolution that keeps channels apart.
/// Groups of one channel would leave most of a register idle, so a group has up to 16 and a diagonal weight.
struct FirFilter {
  ConvGeometry geometry;
  Tensor weight;

  FirFilter(bool rows, std::int64_t channels, double strength, DType dtype) {
    const std::int64_t width = std::gcd(channels, group_width);
    if (rows)
      geometry = {.stride_h = 2, .top = 1, .bottom = 1, .groups = channels / width};
    else
      geometry = {.stride_w = 2, .left = 1, .right = 1, .groups = channels / width};
    std::vector<double> values;
    for (const double tap : fir)
      for (std::int64_t in = 0; in < width; ++in)
        for (std::int64_t out = 0; out < channels; ++out) values.push_back(out % width == in ? strength * tap : 0);
    weight = Tensor::from(values, {rows ? 4 : 1, rows ? 1 : 4, width, channels}, dtype);
  }
};

Tensor fir_down(const Tensor& x) {
  require(x.dim(1) % 2 == 0 && x.dim(2) % 2 == 0, "resample: cannot halve {}: odd height or width", x.shape());
  const FirFilter rows(true, x.dim(3), 1, x.dtype()), columns(false, x.dim(3), 1, x.dtype());
  return conv2d(conv2d(x, rows.weight, rows.geometry), columns.weight, columns.geometry);
}

// Putting zeros between and filtering is the transpose of filtering and dropping.
Tensor fir_up(const Tensor& x) {
  const Shape tall = x.shape().with(1, 2 * x.dim(1));
  const FirFilter rows(true, x.dim(3), 2, x.dtype()), columns(false, x.dim(3), 2, x.dtype());
  const Tensor y = conv2d_dx(x, rows.weight, tall, rows.geometry);
  return conv2d_dx(y, columns.weight, tall.with(2, 2 * x.dim(2)), columns.geometry);
}

}  // namespace

Tensor resample(Resampling how, const Tensor& x) {
  switch (how) {
    case Resampling::none:
      return x;
    case Resampling::mean_down:
      return downsample_mean2(x);
    case Resampling::nearest_up:
      return upsample_nearest2(x);
    case Resampling::fir_down:
      return fir_down(x);
    case Resampling::fir_up:
      return fir_up(x);
  }
  fail("resample: unknown kind {}", static_cast<int>(how));
}

}  // namespace costate
