// Cases of factor-2 resampling.
#include "autodiff/ops/resample.h"

#include "autodiff/ops/conv2d.h"
#include "tests/cases/case.h"

namespace costate {
namespace {

/// Both are a depthwise 2 x 2 convolution of stride 2 with equal weights, or its transpose.
Tensor as_convolution(const Tensor& x, bool up) {
  const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  const ConvGeometry blocks{.stride_h = 2, .stride_w = 2, .groups = c};
  const Tensor weight = Tensor::full({2, 2, 1, c}, up ? 1 : 0.25, x.dtype());
  return up ? conv2d_dx(x, weight, {n, 2 * h, 2 * w, c}, blocks) : conv2d(x, weight, blocks);
}

}  // namespace

CaseFile resample_case() {
  CaseFile file{.name = "resample"};
  for (const bool up : {true, false}) {
    for (const bool bench : {false, true}) {
      const Shape shape = bench ? Shape{2, 32, 32, 64} : Shape{2, 4, 6, 3};
      file.cases.push_back(
          {.op = up ? "upsample_nearest2" : "downsample_mean2",
           .variant = bench ? "bench" : "image",
           .inputs = {batched(shape)},
           .run = [up](const Tensors& in) { return up ? upsample_nearest2(in[0]) : downsample_mean2(in[0]); },
           .spec = [up](const Tensors& in) { return as_convolution(in[0], up); },
           .flops = up ? 0 : static_cast<double>(shape.size()),
           .reduction = 4,
           .bench = bench});
    }
  }
  file.wrong = {{"upsample_nearest2", "rank 3",
                 [] {
                   return upsample_nearest2(Tensor::zeros({4, 4, 3}));
                 }},
                {"downsample_mean2", "rank 3",
                 [] {
                   return downsample_mean2(Tensor::zeros({4, 4, 3}));
                 }},
                {"downsample_mean2", "odd sizes", [] {
                   return downsample_mean2(Tensor::zeros({1, 3, 4, 3}));
                 }}};
  return file;
}

}  // namespace costate
