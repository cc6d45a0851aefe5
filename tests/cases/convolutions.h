// What the cases of conv2d and its two gradients share: the geometries, and the definition as a plain loop.
#pragma once

#include <algorithm>

#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/conv2d_shape.h"
#include "tests/cases/case.h"

namespace costate {

struct Convolution {
  std::string variant;
  Shape x, w;
  ConvGeometry geometry;
  bool bench = false;

  [[nodiscard]] Shape y() const { return conv2d_shape("conv2d", geometry, x, w); }
  [[nodiscard]] double flops() const { return 2.0 * static_cast<double>(y().size() * w[0] * w[1] * w[2]); }
  [[nodiscard]] std::int64_t reduction() const {
    return std::max(y().size() / y()[3], w[0] * w[1] * std::max(w[2], w[3]));
  }
};

inline std::vector<Convolution> convolutions() {
  std::vector<Convolution> all = {
      {"same", {2, 5, 7, 3}, {3, 3, 3, 4}, same_padding(3, 3)},
      {"valid", {2, 6, 5, 2}, {3, 2, 2, 5}, {}},
      {"stride",
       {2, 7, 8, 3},
       {3, 3, 3, 2},
       {.stride_h = 2, .stride_w = 3, .top = 1, .bottom = 1, .left = 1, .right = 1}},
      {"down",
       {2, 6, 6, 3},
       {3, 3, 3, 3},
       {.stride_h = 2, .stride_w = 2, .bottom = 1, .right = 1}},  // as diffusers downsamples
      {"uneven", {1, 5, 4, 2}, {2, 3, 2, 3}, {.top = 2, .bottom = 0, .left = 1, .right = 3}},
      {"crop", {2, 7, 7, 2}, {3, 3, 2, 3}, {.top = -1, .bottom = 1, .left = 0, .right = -2}},
      {"dilation", {1, 9, 8, 2}, {3, 2, 2, 3}, {.dilation_h = 2, .dilation_w = 3, .top = 2, .bottom = 2}},
      {"groups", {2, 5, 5, 6}, {3, 3, 2, 9}, {.top = 1, .bottom = 1, .left = 1, .right = 1, .groups = 3}},
      {"depthwise", {2, 5, 6, 4}, {3, 3, 1, 4}, {.top = 1, .bottom = 1, .left = 1, .right = 1, .groups = 4}},
      {"one", {2, 5, 7, 5}, {1, 1, 5, 6}, {}},
      {"one_stride", {2, 5, 7, 3}, {1, 1, 3, 2}, {.stride_h = 2, .stride_w = 2}},
      {"everything",
       {2, 9, 10, 4},
       {3, 2, 2, 6},
       {.stride_h = 2,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 2,
        .top = 1,
        .bottom = 0,
        .left = 2,
        .right = 1,
        .groups = 2}},
      {"wide", {1, 3, 19, 17}, {3, 3, 17, 37}, same_padding(3, 3)},
      {"winograd_4", {2, 10, 9, 17}, {3, 3, 17, 19}, same_padding(3, 3)},
      {"winograd_2", {3, 7, 6, 18}, {3, 3, 18, 16}, same_padding(3, 3)},
      {"words",
       {1, 4, 3, 48},
       {3, 3, 48, 24},
       same_padding(3, 3)},  // whole words of 16 bytes, sums in pieces (gpu/gemm.h)
      {"narrow", {2, 5, 4, 16}, {3, 3, 16, 3}, same_padding(3, 3)},  // few columns of words
      {"bench", {2, 32, 32, 64}, {3, 3, 64, 64}, same_padding(3, 3), true},
      {"bench_down", {2, 32, 32, 64}, {3, 3, 64, 64}, {.stride_h = 2, .stride_w = 2, .bottom = 1, .right = 1}, true},
      {"bench_one", {2, 32, 32, 64}, {1, 1, 64, 128}, {}, true},
  };
  return all;
}

/// Calls use(index in x, index in w, index in y) for every product of which the convolution is the sum.
template <class Use>
void for_each_product(const Convolution& c, Use&& use) {
  const auto& g = c.geometry;
  const Shape y = c.y();
  const std::int64_t out_group = c.w[3] / g.groups;
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t i = 0; i < y[1]; ++i)
      for (std::int64_t j = 0; j < y[2]; ++j)
        for (std::int64_t a = 0; a < c.w[0]; ++a)
          for (std::int64_t b = 0; b < c.w[1]; ++b) {
            const std::int64_t row = i * g.stride_h + a * g.dilation_h - g.top,
                               column = j * g.stride_w + b * g.dilation_w - g.left;
            if (row < 0 || row >= c.x[1] || column < 0 || column >= c.x[2]) continue;
            for (std::int64_t ci = 0; ci < c.w[2]; ++ci)
              for (std::int64_t co = 0; co < c.w[3]; ++co) {
                const std::int64_t channel = co / out_group * c.w[2] + ci;
                use(static_cast<std::size_t>(((n * c.x[1] + row) * c.x[2] + column) * c.x[3] + channel),
                    static_cast<std::size_t>(((a * c.w[1] + b) * c.w[2] + ci) * c.w[3] + co),
                    static_cast<std::size_t>(((n * y[1] + i) * y[2] + j) * y[3] + co));
              }
          }
}

}  // namespace costate
