// A convolution and its gradients by warp groups: patches of pictures come to shared memory as the chip's own copies of patches.
#pragma once

#include "gpu/convolution.h"
#include "gpu/precision.h"
#include "gpu/warp_groups.h"

namespace costate::cuda {

inline Walk rows_of(const Convolution& s) { return {s.h, -s.top, s.stride_h, s.oh}; }
inline Walk columns_of(const Convolution& s) { return {s.w, -s.left, s.stride_w, s.ow}; }

/// Whether a convolution with channels in whole words of 16 bytes can go this way.
inline bool by_groups(const Convolution& s, Words words) {
  return words.a && words.b && s.groups == 1 && can_walk(rows_of(s)) && can_walk(columns_of(s)) && has_warp_groups();
}

/// Of Patches, for tiles of `pixels` pixels.
inline Boxes patch_boxes(const char* op, const Convolution& s, const bf16* x, std::int64_t images, int pixels) {
  Boxes b;
  b.map = patches_of(op, x, static_cast<int>(images), rows_of(s), columns_of(s), s.cin, pixels);
  b.patches = true;
  b.chunks = static_cast<int>(steps_of(s.cin)), b.by_chunks = Divisor(b.chunks);
  b.outputs = s.oh * s.ow, b.line = s.ow, b.width = s.kw;
  b.by_outputs = s.by_output, b.by_line = s.by_ow, b.by_width = s.by_kw;
  b.first_row = -s.top, b.first_column = -s.left;
  b.step_row = s.stride_h, b.step_column = s.stride_w, b.dilation_row = s.dilation_h, b.dilation_column = s.dilation_w;
  return b;
}

/// Of weights (tap, cin, cout); `turned`: of TransposedWeights.
inline Boxes weight_boxes(const char* op, const bf16* w, int taps, int cin, int cout, bool turned, int lines) {
  Boxes b;
  b.map = boxes_of(op, w, {{cout, cin, taps, 1}, {cout, std::int64_t{cin} * cout, 8}}, turned ? lines : 64);
  b.chunks = static_cast<int>(steps_of(turned ? cout : cin)), b.by_chunks = Divisor(b.chunks);
  b.last_tap = turned ? taps - 1 : -1;
  return b;
}

/// y = x * w by `s`, or for a turned one the gradient in x of the convolution that it is turned from.
inline void convolve_by_groups(const char* op, const Convolution& s, const bf16* x, std::int64_t images, const bf16* w,
                               bool turned, const Output<bf16>& y) {
  const int taps = s.kh * s.kw, cin = turned ? s.cout : s.cin, cout = turned ? s.cin : s.cout;
  const std::int64_t pixels = std::int64_t{s.oh} * s.ow, steps = taps * steps_of(s.cin);
  // By one image's pixels. A batch adds pieces up in registers, which costs it a third: they must be worth it to the image.
  constexpr std::int64_t most_pieces = 4;
  constexpr double gain = 2;
  multiply_by_groups<bf16>(
      op, [&](int rows) { return patch_boxes(op, s, x, images, rows); },
      [&](int rows) { return weight_boxes(op, w, taps, cin, cout, turned, rows); }, y,
      {1, images * pixels, s.cout, steps, group_piece(pixels, s.cout, steps, most_pieces, gain), true, turned});
}

/// dw of y = x * w. Input channels are whole steps.
inline void weight_gradient_by_groups(const char* op, const Convolution& s, const bf16* x, const bf16* g,
                                      std::int64_t images, const Output<bf16>& dw) {
  const std::int64_t pixels = images * s.oh * s.ow, rows = std::int64_t{s.kh} * s.kw * s.cin, steps = steps_of(pixels);
  constexpr std::int64_t most_pieces = 64;
  const Matrix<bf16, false> gradient{g, Start(0), s.cout};
  multiply_by_groups<bf16>(
      op, [&](int) { return patch_boxes(op, s, x, images, 64); },
      [&](int lines) { return boxes_of(op, gradient, s.cout, pixels, 1, lines); }, dw,
      {1, rows, s.cout, steps, group_piece(rows, s.cout, steps, most_pieces, 1), false, false});
}

}  // namespace costate::cuda
