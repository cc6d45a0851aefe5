// A convolution and its gradients by warp groups: patches of pictures come to shared memory as the chip's own copies of patches.
#pragma once

#include "gpu/convolution.h"
#include "gpu/packed_filter.h"
#include "gpu/precision.h"
#include "gpu/warp_groups.h"

namespace costate::cuda {

inline Walk rows_of(const Convolution& s) { return {s.h, -s.top, s.stride_h, s.oh}; }
inline Walk columns_of(const Convolution& s) { return {s.w, -s.left, s.stride_w, s.ow}; }

/// Whether this type's products run so where there are warp groups.
template <class M>
constexpr bool has_group_products = std::is_same_v<M, bf16> || std::is_same_v<M, Tf32>;

/// Whether a convolution can go this way, given that lines of the factors that are to be copied are whole `words` of 16 bytes.
inline bool by_groups(const Convolution& s, bool words) {
  return words && s.groups == 1 && can_walk(rows_of(s)) && can_walk(columns_of(s)) && has_warp_groups();
}

/// Of Patches, for tiles of `pixels` pixels.
template <class M>
Boxes patch_boxes(const char* op, const Convolution& s, const Stored<M>* x, std::int64_t images, int pixels) {
  Boxes b;
  b.map = patches_of(op, box_type<M>, x, static_cast<int>(images), rows_of(s), columns_of(s), s.cin, s.x_pixel, pixels);
  b.patches = true;
  b.chunks = static_cast<int>(steps_of<M>(s.cin)), b.by_chunks = Divisor(b.chunks);
  b.outputs = s.oh * s.ow, b.line = s.ow, b.width = s.kw;
  b.by_outputs = s.by_output, b.by_line = s.by_ow, b.by_width = s.by_kw;
  b.first_row = -s.top, b.first_column = -s.left;
  b.step_row = s.stride_h, b.step_column = s.stride_w, b.dilation_row = s.dilation_h, b.dilation_column = s.dilation_w;
  return b;
}

/// Weights, where they lie: rows are output channels of the convolution at hand, terms its input channels, tap by tap.
struct Filter {
  const void* data;
  bool along_k, from_last;         ///< terms lie along memory; taps are counted from the last
  std::int64_t across, taps_step;  ///< elements from one row to the next (or term, if not along_k), and from tap to tap
};

template <class M>
Boxes filter_boxes(const char* op, const Convolution& s, const Filter& f, int lines) {
  const int taps = s.kh * s.kw;
  Boxes b;
  b.map = boxes_of(op, box_type<M>, f.data,
                   {{f.along_k ? s.cin : s.cout, f.along_k ? s.cout : s.cin, taps, 1}, {f.across, f.taps_step, 8}},
                   f.along_k ? lines : line_terms<M>);
  b.chunks = static_cast<int>(steps_of<M>(s.cin)), b.by_chunks = Divisor(b.chunks);
  b.last_tap = f.from_last ? taps - 1 : -1;
  return b;
}

/// A convolution, where its operands lie.
template <class M>
struct GroupConvolution {
  Convolution s;
  const Stored<M>* x;
  Filter f;

  [[nodiscard]] std::int64_t steps() const { return s.kh * s.kw * steps_of<M>(s.cin); }
  [[nodiscard]] GroupFactors factors(const char* op, std::int64_t images) const {
    return {[=, this](int rows) { return patch_boxes<M>(op, s, x, images, rows); },
            [=, this](int rows) { return filter_boxes<M>(op, s, f, rows); }};
  }
};

/// y = the convolution, plus another of as many outputs whose weights lie alike, or null.
template <class M>
void convolve_by_groups(const char* op, const GroupConvolution<M>& one, const GroupConvolution<M>* other,
                        std::int64_t images, const Output<Stored<M>>& y) {
  const Convolution& s = one.s;
  const std::int64_t pixels = std::int64_t{s.oh} * s.ow, first = one.steps(),
                     steps = first + (other == nullptr ? 0 : other->steps());
  // By one image's pixels. A batch adds pieces up in registers, which costs it a third: they must be worth it to the image.
  constexpr std::int64_t most_pieces = 8;
  constexpr double gain = 1.3;
  multiply_by_groups(M{}, op, one.factors(op, images), other == nullptr ? GroupFactors{} : other->factors(op, images),
                     y,
                     {1, images * pixels, s.cout, steps, group_piece(pixels, s.cout, steps, most_pieces, gain), true,
                      one.f.along_k, first});
}

/// Weights of y = x * w. Where output channels are no whole `words`, and for TF32, whose products want terms along memory, w is packed, once.
template <class M>
Filter filter_of(const Convolution& s, const Tensor& w, bool words) {
  if (words && std::is_same_v<M, bf16>)
    return {w.device_data<Stored<M>>(), false, false, s.cout, std::int64_t{s.cin} * s.cout};
  return {packed_filter(w).device_data<Stored<M>>(), true, false, std::int64_t{s.kh} * s.kw * s.cin, s.cin};
}

/// dx of the convolution that `turned` is turned from.
template <class M>
void conv2d_dx_by_groups(const char* op, const Convolution& turned, const Stored<M>* g, std::int64_t images,
                         const Tensor& w, const Output<Stored<M>>& dx) {
  using T = Stored<M>;
  const Filter f{w.device_data<T>(), true, true, turned.cin, std::int64_t{turned.cin} * turned.cout};
  convolve_by_groups<M>(op, {turned, g, f}, nullptr, images, dx);
}

/// dw of y = x * w. Input channels are whole steps. TF32, whose right factor has to lie along the terms, has g turned first.
template <class M>
void conv2d_dw_by_groups(const char* op, const Convolution& s, const Stored<M>* x, const Tensor& g,
                         const Output<Stored<M>>& dw) {
  const std::int64_t images = g.dim(0), pixels = images * s.oh * s.ow, rows = std::int64_t{s.kh} * s.kw * s.cin,
                     steps = steps_of<M>(pixels);
  constexpr std::int64_t most_pieces = 64;
  const auto go = [&]<bool along_k>(const Matrix<Stored<M>, along_k>& gradient) {
    multiply_by_groups(M{}, op,
                       {[&](int) { return patch_boxes<M>(op, s, x, images, line_terms<M>); },
                        [&](int lines) { return boxes_of<M>(op, gradient, s.cout, pixels, 1, lines); }},
                       {}, dw,
                       {1, rows, s.cout, steps, group_piece(rows, s.cout, steps, most_pieces, 1), false, along_k});
  };
  if constexpr (std::is_same_v<M, bf16>) {
    go(Matrix<bf16, false>{g.device_lines<bf16>(g.dim(3)).data, Start(0), s.y_pixel});
  } else {
    const std::int64_t line = (pixels + 3) / 4 * 4;  // whole words
    go(Matrix<float, true>{turned(g, line).device_data<float>(), Start(0), line});
  }
}

}  // namespace costate::cuda
