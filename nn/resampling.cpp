// Resampling as ops. The FIR filter is separable: each direction is a convolution of one channel over a reshaped image.
#include "nn/resampling.h"

#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/resample.h"
#include "autodiff/ops/reshape.h"

namespace costate {
namespace {

// StyleGAN2's filter, as in NCSN++ (Song et al. 2021, arXiv:2011.13456, appendix H). Along the second axis of (n, h, w,
// 1).
constexpr ConvGeometry fir_geometry{.stride_h = 2, .top = 1, .bottom = 1};

Tensor fir_weight(DType dtype, double strength) {
  return Tensor::from({strength / 8, strength * 3 / 8, strength * 3 / 8, strength / 8}, {4, 1, 1, 1}, dtype);
}

Tensor fir_down(const Tensor& x) {
  const std::int64_t n = x.dim(0), h = x.dim(1) / 2, w = x.dim(2) / 2, c = x.dim(3);
  require(x.dim(1) == 2 * h && x.dim(2) == 2 * w, "resample: cannot halve {}: odd height or width", x.shape());
  const Tensor k = fir_weight(x.dtype(), 1);
  const Tensor rows = conv2d(reshape(x, {n, 2 * h, 2 * w * c, 1}), k, fir_geometry);
  return reshape(conv2d(reshape(rows, {n * h, 2 * w, c, 1}), k, fir_geometry), {n, h, w, c});
}

// Putting zeros between and filtering is the transpose of filtering and dropping.
Tensor fir_up(const Tensor& x) {
  const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  const Tensor k = fir_weight(x.dtype(), 2);
  const Tensor rows = conv2d_dx(reshape(x, {n, h, w * c, 1}), k, {n, 2 * h, w * c, 1}, fir_geometry);
  const Tensor both = conv2d_dx(reshape(rows, {n * 2 * h, w, c, 1}), k, {n * 2 * h, 2 * w, c, 1}, fir_geometry);
  return reshape(both, {n, 2 * h, 2 * w, c});
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
