// The factors (stage.h) that make a convolution and its gradients matrix products: the matrices of taps are read in place.
#pragma once

#include <utility>

#include "core/kernels/conv2d.h"
#include "gpu/divisor.h"
#include "gpu/gemm.h"

namespace costate::cuda {

/// Terms of one chain of a direct convolution: short enough that a single image of a network's deeper levels fills the chip.
constexpr std::int64_t convolution_chain = 288;

/// A convolution in the integers that kernels count in; channels are those of one group.
struct Convolution {
  int h, w, cin, oh, ow, cout, kh, kw;
  int stride_h, stride_w, dilation_h, dilation_w, top, left, groups;
  int x_pixel, y_pixel;  ///< from one pixel of x, and of y, to the next: a strip's are further apart than its channels
  Divisor by_cin, by_cout, by_kw, by_output, by_ow, by_input, by_w, by_stride_h, by_stride_w;

  Convolution(const ConvGeometry& g, const Tensor& x, const Tensor& weights, const Tensor& y);

  /// The one that takes the gradient of y to that of x, for strides of 1: with weights (tap counted from the last; cout, cin).
  [[nodiscard]] Convolution turned() const {
    Convolution t = *this;
    std::swap(t.h, t.oh), std::swap(t.w, t.ow), std::swap(t.cin, t.cout), std::swap(t.x_pixel, t.y_pixel);
    std::swap(t.by_cin, t.by_cout), std::swap(t.by_input, t.by_output), std::swap(t.by_w, t.by_ow);
    t.top = (kh - 1) * dilation_h - top, t.left = (kw - 1) * dilation_w - left;
    return t;
  }
};

/// Whether the channels of a group come in whole words of 16 bytes. (Strips that do not begin with words are met as dense copies.)
template <class T>
bool in_words(const T* t, int width) {
  return width % (16 / static_cast<int>(sizeof(T))) == 0 && aligned_16(t);
}

/// A picture's pixels, from one to the next `pixel`.
template <class T>
const T* pixels_of(const Tensor& t, int& pixel) {
  const auto [data, step] = t.device_lines<T>(t.dim(3));
  require(t.dim(1) * t.dim(2) * step < std::int64_t{1} << 31,
          "conv2d: the pictures that {} is a slice of are larger than a kernel counts", t.shape());
  pixel = static_cast<int>(step);
  return data;
}

/// A pixel that taps count from, and how far a tap is from there.
template <class T>
struct Place {
  const T* at;
  int i, j;
};
struct Tap {
  int i, j, offset;
};

/// x by (output pixel of the batch, tap and input channel), or turned round.
template <class T, bool pixels_are_rows>
struct Patches {
  static constexpr bool along_k = pixels_are_rows;
  Convolution s;
  const T* data;
  using Row = std::conditional_t<pixels_are_rows, Place<T>, Tap>;
  using Term = std::conditional_t<pixels_are_rows, Tap, Place<T>>;
  __device__ Row row(int group, int r) const {
    if constexpr (pixels_are_rows)
      return place(group, r);
    else
      return tap(group, r);
  }
  __device__ Term term(int k) const {
    if constexpr (pixels_are_rows)
      return tap(0, k);
    else
      return place(0, k);
  }
  __device__ const T* at(const Place<T>& p, const Tap& tap) const {
    const bool inside = static_cast<unsigned>(p.i + tap.i) < static_cast<unsigned>(s.h) &&
                        static_cast<unsigned>(p.j + tap.j) < static_cast<unsigned>(s.w);
    return inside ? p.at + tap.offset : nullptr;
  }
  __device__ const T* at(const Tap& tap, const Place<T>& p) const { return at(p, tap); }

 private:
  __device__ Place<T> place(int group, int pixel) const {
    const int image = s.by_output.quotient(pixel), inner = pixel - image * s.oh * s.ow, line = s.by_ow.quotient(inner);
    const int i = line * s.stride_h - s.top, j = (inner - line * s.ow) * s.stride_w - s.left;
    const std::int64_t pixels = std::int64_t{image} * s.h * s.w + std::int64_t{i} * s.w + j;
    return {data + pixels * s.x_pixel + group * s.cin, i, j};
  }
  __device__ Tap tap(int group, int k) const {
    const int tap = s.by_cin.quotient(k), a = s.by_kw.quotient(tap), i = a * s.dilation_h,
              j = (tap - a * s.kw) * s.dilation_w;
    return {i, j, (i * s.w + j) * s.x_pixel + group * s.cin + k - tap * s.cin};
  }
};

/// The gradient of y by (input pixel of the batch, tap and output channel), taps counted from the last, for strides above 1.
template <class T>
struct GradientPatches {
  static constexpr bool along_k = true;
  Convolution s;
  const T* data;
  __device__ Place<T> row(int group, int pixel) const {
    const int image = s.by_input.quotient(pixel), inner = pixel - image * s.h * s.w, line = s.by_w.quotient(inner);
    const std::int64_t pixels = std::int64_t{image} * s.oh * s.ow;
    return {data + pixels * s.y_pixel + group * s.cout, line + s.top, inner - line * s.w + s.left};
  }
  __device__ Tap term(int k) const {
    const int from_last = s.by_cout.quotient(k), tap = s.kh * s.kw - 1 - from_last, a = s.by_kw.quotient(tap);
    return {a * s.dilation_h, (tap - a * s.kw) * s.dilation_w, k - from_last * s.cout};
  }
  __device__ const T* at(const Place<T>& p, const Tap& tap) const {
    const int i = p.i - tap.i, j = p.j - tap.j;
    if (i < 0 || j < 0) return nullptr;
    const int r = s.by_stride_h.quotient(i), c = s.by_stride_w.quotient(j);
    if (r * s.stride_h != i || c * s.stride_w != j || r >= s.oh || c >= s.ow) return nullptr;
    return p.at + (r * s.ow + c) * s.y_pixel + tap.offset;
  }
};

/// w (tap, cin, groups * cout) by (tap and input channel; output channel).
template <class T>
struct Weights {
  static constexpr bool along_k = false;
  int groups, cout;
  const T* data;
  __device__ int row(int group, int n) const { return group * cout + n; }
  __device__ int term(int k) const { return k * groups * cout; }
  __device__ const T* at(int row, int term) const { return data + row + term; }
};

/// w by (tap, counted from the last, and output channel; input channel).
template <class T>
struct TransposedWeights {
  static constexpr bool along_k = true;
  Convolution s;
  const T* data;
  __device__ int row(int group, int n) const { return (n * s.groups + group) * s.cout; }
  __device__ int term(int k) const {
    const int from_last = s.by_cout.quotient(k), tap = s.kh * s.kw - 1 - from_last;
    return tap * s.cin * s.groups * s.cout + k - from_last * s.cout;
  }
  __device__ const T* at(int row, int term) const { return data + row + term; }
};

/// The gradient of y by (output pixel of the batch; output channel).
template <class T>
struct Gradient {
  static constexpr bool along_k = false;
  int cout, pixel;
  const T* data;
  __device__ int row(int group, int n) const { return group * cout + n; }
  __device__ std::int64_t term(int k) const { return std::int64_t{k} * pixel; }
  __device__ const T* at(int row, std::int64_t term) const { return data + row + term; }
};

}  // namespace costate::cuda
