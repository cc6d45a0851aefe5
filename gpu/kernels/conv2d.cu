// Convolution and its two gradients as implicit matrix products: the matrices of taps are read in place, never built.
#include "core/kernels/conv2d.h"

#include <algorithm>

#include "core/kernels/reduce.h"
#include "gpu/gemm.h"

namespace costate::cuda {
namespace {

/// All extents; channels are those of one group.
struct Sizes {
  std::int64_t h, w, cin, oh, ow, cout, kh, kw;
};

Sizes sizes_of(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& y) {
  return {x.dim(1), x.dim(2), w.dim(2), y.dim(1), y.dim(2), w.dim(3) / geometry.groups, w.dim(0), w.dim(1)};
}

/// The pixel of x that output pixel (i, j) meets at tap (a, b), or -1 outside.
__device__ std::int64_t input_pixel(const ConvGeometry& g, const Sizes& s, std::int64_t i, std::int64_t j,
                                    std::int64_t a, std::int64_t b) {
  const std::int64_t r = i * g.stride_h + a * g.dilation_h - g.top, c = j * g.stride_w + b * g.dilation_w - g.left;
  return r >= 0 && r < s.h && c >= 0 && c < s.w ? r * s.w + c : -1;
}

/// x by (group, output pixel of the batch, tap and input channel).
template <class T>
struct Patches {
  ConvGeometry g;
  Sizes s;
  const T* x;
  __device__ T operator()(std::int64_t group, std::int64_t m, std::int64_t k) const {
    const std::int64_t tap = k / s.cin, pixels = s.oh * s.ow, at = m % pixels;
    const std::int64_t pixel = input_pixel(g, s, at / s.ow, at % s.ow, tap / s.kw, tap % s.kw);
    return pixel < 0 ? T{0} : x[((m / pixels * s.h * s.w + pixel) * g.groups + group) * s.cin + k % s.cin];
  }
};

/// g by (group, input pixel of the batch, tap and output channel).
template <class T>
struct GradientPatches {
  ConvGeometry g;
  Sizes s;
  const T* gradient;
  __device__ T operator()(std::int64_t group, std::int64_t m, std::int64_t k) const {
    const std::int64_t tap = k / s.cout, pixels = s.h * s.w, at = m % pixels;
    const std::int64_t i = at / s.w + g.top - tap / s.kw * g.dilation_h,
                       j = at % s.w + g.left - tap % s.kw * g.dilation_w;
    if (i < 0 || j < 0 || i % g.stride_h != 0 || j % g.stride_w != 0) return T{0};
    const std::int64_t row = i / g.stride_h, column = j / g.stride_w;
    if (row >= s.oh || column >= s.ow) return T{0};
    return gradient[(((m / pixels * s.oh + row) * s.ow + column) * g.groups + group) * s.cout + k % s.cout];
  }
};

/// w (tap, cin, groups * cout) by (group, tap and input channel, output channel).
template <class T>
struct Weights {
  std::int64_t groups, cout;
  const T* w;
  __device__ T operator()(std::int64_t group, std::int64_t k, std::int64_t n) const {
    return w[(k * groups + group) * cout + n];
  }
};

/// w by (group, tap and output channel, input channel).
template <class T>
struct TransposedWeights {
  std::int64_t groups, cin, cout;
  const T* w;
  __device__ T operator()(std::int64_t group, std::int64_t k, std::int64_t n) const {
    return w[((k / cout * cin + n) * groups + group) * cout + k % cout];
  }
};

/// Rows of `width` channels a group.
template <class T>
struct Channels {
  std::int64_t groups, width;
  T* data;
  __device__ void operator()(std::int64_t group, std::int64_t m, std::int64_t n, T value) const {
    data[(m * groups + group) * width + n] = value;
  }
};

// The weight gradient sums over all pixels of the batch: too long for one block. Pieces are problems of their own, (piece,
// group), and are added in order; at most 64, since each has a sum of its own.
std::int64_t piece_length(std::int64_t pixels) { return std::max<std::int64_t>(256, (pixels + 63) / 64); }

template <class T>
struct PiecePatches {
  Patches<T> patches;
  std::int64_t pixels, length;  ///< of the batch, of a piece
  __device__ T operator()(std::int64_t problem, std::int64_t m, std::int64_t k) const {
    const std::int64_t pixel = problem / patches.g.groups * length + k;
    return pixel < pixels ? patches(problem % patches.g.groups, pixel, m) : T{0};
  }
};

template <class T>
struct PieceGradient {
  std::int64_t groups, cout, pixels, length;
  const T* gradient;
  __device__ T operator()(std::int64_t problem, std::int64_t k, std::int64_t n) const {
    const std::int64_t pixel = problem / groups * length + k;
    return pixel < pixels ? gradient[(pixel * groups + problem % groups) * cout + n] : T{0};
  }
};

template <class T>
struct PieceStore {
  std::int64_t groups, cout, size;  ///< of dw
  T* data;
  __device__ void operator()(std::int64_t problem, std::int64_t m, std::int64_t n, T value) const {
    data[problem / groups * size + (m * groups + problem % groups) * cout + n] = value;
  }
};

}  // namespace

void conv2d(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, Tensor& y) {
  visit_compute(x.dtype(), "conv2d", [&](auto tag) {
    using T = decltype(tag);
    const Sizes s = sizes_of(geometry, x, w, y);
    gemm<T>("conv2d", Patches<T>{geometry, s, x.device_data<T>()},
            Weights<T>{geometry.groups, s.cout, w.device_data<T>()},
            Channels<T>{geometry.groups, s.cout, y.mutable_device_data<T>()}, geometry.groups, y.dim(0) * s.oh * s.ow,
            s.cout, s.kh * s.kw * s.cin);
  });
}

void conv2d_dx(const ConvGeometry& geometry, const Tensor& g, const Tensor& w, Tensor& dx) {
  visit_compute(g.dtype(), "conv2d_dx", [&](auto tag) {
    using T = decltype(tag);
    const Sizes s = sizes_of(geometry, dx, w, g);
    gemm<T>("conv2d_dx", GradientPatches<T>{geometry, s, g.device_data<T>()},
            TransposedWeights<T>{geometry.groups, s.cin, s.cout, w.device_data<T>()},
            Channels<T>{geometry.groups, s.cin, dx.mutable_device_data<T>()}, geometry.groups, dx.dim(0) * s.h * s.w,
            s.cin, s.kh * s.kw * s.cout);
  });
}

void conv2d_dw(const ConvGeometry& geometry, const Tensor& x, const Tensor& g, Tensor& dw) {
  visit_compute(x.dtype(), "conv2d_dw", [&](auto tag) {
    using T = decltype(tag);
    const Sizes s = sizes_of(geometry, x, dw, g);
    const std::int64_t pixels = g.dim(0) * s.oh * s.ow;
    const std::int64_t length = piece_length(pixels),
                       pieces = std::max<std::int64_t>(1, (pixels + length - 1) / length);
    Tensor partial = Tensor::empty({pieces, dw.size()}, x.dtype(), x.device());
    gemm<T>("conv2d_dw", PiecePatches<T>{{geometry, s, x.device_data<T>()}, pixels, length},
            PieceGradient<T>{geometry.groups, s.cout, pixels, length, g.device_data<T>()},
            PieceStore<T>{geometry.groups, s.cout, dw.size(), partial.mutable_device_data<T>()},
            pieces * geometry.groups, s.kh * s.kw * s.cin, s.cout, std::min(length, pixels));
    Tensor sum = Tensor::empty({1, dw.size()}, x.dtype(), x.device());
    sum_to(partial, sum);
    dw = sum.reshaped(dw.shape());
  });
}

}  // namespace costate::cuda
