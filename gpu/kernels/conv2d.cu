// Convolution and its two gradients as implicit matrix products: the matrices of taps are read in place, never built.
#include "core/kernels/conv2d.h"

#include <algorithm>

#include "core/kernels/reduce.h"
#include "gpu/gemm.h"

namespace costate::cuda {
namespace {

/// All extents; channels are those of one group.
struct Sizes {
  int h, w, cin, oh, ow, cout, kh, kw;
};

Sizes sizes_of(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& y) {
  const auto n = [](std::int64_t extent) { return static_cast<int>(extent); };
  return {n(x.dim(1)), n(x.dim(2)), n(w.dim(2)), n(y.dim(1)), n(y.dim(2)), n(w.dim(3) / geometry.groups),
          n(w.dim(0)), n(w.dim(1))};
}

/// Geometry in the integers that kernels count in.
struct Geometry {
  int stride_h, stride_w, dilation_h, dilation_w, top, left, groups;
  explicit Geometry(const ConvGeometry& g)
      : stride_h(static_cast<int>(g.stride_h)),
        stride_w(static_cast<int>(g.stride_w)),
        dilation_h(static_cast<int>(g.dilation_h)),
        dilation_w(static_cast<int>(g.dilation_w)),
        top(static_cast<int>(g.top)),
        left(static_cast<int>(g.left)),
        groups(static_cast<int>(g.groups)) {}
};

/// An image of the batch, a group of its channels, and a place that taps count from.
struct Place {
  int image, group, i, j;
};

/// How far a tap is from there, and a channel of the group.
struct Tap {
  int i, j, channel;
};

__device__ inline Tap tap_of(const Geometry& g, const Sizes& s, int k, int channels) {
  const int tap = k / channels;
  return {tap / s.kw * g.dilation_h, tap % s.kw * g.dilation_w, k % channels};
}

/// x by (output pixel of the batch, tap and input channel).
template <class T>
struct Patches {
  Geometry g;
  Sizes s;
  const T* x;
  __device__ Place row(int group, int m) const {
    const int pixels = s.oh * s.ow, at = m % pixels;
    return {m / pixels, group, at / s.ow * g.stride_h - g.top, at % s.ow * g.stride_w - g.left};
  }
  __device__ Tap term(int, int k) const { return tap_of(g, s, k, s.cin); }
  __device__ T operator()(const Place& p, const Tap& tap) const {
    const int r = p.i + tap.i, c = p.j + tap.j;
    if (r < 0 || r >= s.h || c < 0 || c >= s.w) return T{0};
    return x[(((std::int64_t{p.image} * s.h + r) * s.w + c) * g.groups + p.group) * s.cin + tap.channel];
  }
};

/// The gradient of y by (input pixel of the batch, tap and output channel).
template <class T>
struct GradientPatches {
  Geometry g;
  Sizes s;
  const T* gradient;
  __device__ Place row(int group, int m) const {
    const int pixels = s.h * s.w, at = m % pixels;
    return {m / pixels, group, at / s.w + g.top, at % s.w + g.left};
  }
  __device__ Tap term(int, int k) const { return tap_of(g, s, k, s.cout); }
  __device__ T operator()(const Place& p, const Tap& tap) const {
    const int i = p.i - tap.i, j = p.j - tap.j, r = i / g.stride_h, c = j / g.stride_w;
    if (i < 0 || j < 0 || r * g.stride_h != i || c * g.stride_w != j || r >= s.oh || c >= s.ow) return T{0};
    return gradient[(((std::int64_t{p.image} * s.oh + r) * s.ow + c) * g.groups + p.group) * s.cout + tap.channel];
  }
};

/// w (tap, cin, groups * cout) by (group, tap and input channel, output channel).
template <class T>
struct Weights {
  int groups, cout;
  const T* w;
  __device__ T operator()(int group, int k, int n) const { return w[(std::int64_t{k} * groups + group) * cout + n]; }
};

/// w by (group, tap and output channel, input channel).
template <class T>
struct TransposedWeights {
  int groups, cin, cout;
  const T* w;
  __device__ T operator()(int group, int k, int n) const {
    return w[((std::int64_t{k / cout} * cin + n) * groups + group) * cout + k % cout];
  }
};

/// Rows of `width` channels a group.
template <class T>
struct Channels {
  int groups, width;
  T* data;
  __device__ void operator()(int group, int m, int n, T value) const {
    data[(std::int64_t{m} * groups + group) * width + n] = value;
  }
};

// The weight gradient sums over all pixels of the batch: too long for one block. Pieces are problems of their own, (piece,
// group), and are added in order; at most 64, since each has a sum of its own.
std::int64_t piece_length(std::int64_t pixels) { return std::max<std::int64_t>(256, (pixels + 63) / 64); }

/// x by (tap and input channel, output pixel of the piece): Patches turned round.
template <class T>
struct PiecePatches {
  Patches<T> patches;
  int pixels, length;  ///< of the batch, of a piece
  __device__ Tap row(int, int m) const { return patches.term(0, m); }
  __device__ Place term(int problem, int k) const {
    const int pixel = problem / patches.g.groups * length + k;
    if (pixel >= pixels) return {-1, 0, 0, 0};
    return patches.row(problem % patches.g.groups, pixel);
  }
  __device__ T operator()(const Tap& tap, const Place& place) const {
    return place.image < 0 ? T{0} : patches(place, tap);
  }
};

template <class T>
struct PieceGradient {
  int groups, cout, pixels, length;
  const T* gradient;
  __device__ T operator()(int problem, int k, int n) const {
    const int pixel = problem / groups * length + k;
    return pixel < pixels ? gradient[(std::int64_t{pixel} * groups + problem % groups) * cout + n] : T{0};
  }
};

template <class T>
struct PieceStore {
  int groups, cout;
  std::int64_t size;  ///< of dw
  T* data;
  __device__ void operator()(int problem, int m, int n, T value) const {
    data[problem / groups * size + (std::int64_t{m} * groups + problem % groups) * cout + n] = value;
  }
};

}  // namespace

void conv2d(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, Tensor& y) {
  visit_compute(x.dtype(), "conv2d", [&](auto tag) {
    using T = decltype(tag);
    const Sizes s = sizes_of(geometry, x, w, y);
    const Geometry g(geometry);
    gemm<T>("conv2d", Patches<T>{g, s, x.device_data<T>()}, Weights<T>{g.groups, s.cout, w.device_data<T>()},
            Channels<T>{g.groups, s.cout, y.mutable_device_data<T>()}, g.groups, y.dim(0) * s.oh * s.ow, s.cout,
            s.kh * s.kw * s.cin);
  });
}

void conv2d_dx(const ConvGeometry& geometry, const Tensor& g, const Tensor& w, Tensor& dx) {
  visit_compute(g.dtype(), "conv2d_dx", [&](auto tag) {
    using T = decltype(tag);
    const Sizes s = sizes_of(geometry, dx, w, g);
    const Geometry how(geometry);
    gemm<T>("conv2d_dx", GradientPatches<T>{how, s, g.device_data<T>()},
            TransposedWeights<T>{how.groups, s.cin, s.cout, w.device_data<T>()},
            Channels<T>{how.groups, s.cin, dx.mutable_device_data<T>()}, how.groups, dx.dim(0) * s.h * s.w, s.cin,
            s.kh * s.kw * s.cout);
  });
}

void conv2d_dw(const ConvGeometry& geometry, const Tensor& x, const Tensor& g, Tensor& dw) {
  visit_compute(x.dtype(), "conv2d_dw", [&](auto tag) {
    using T = decltype(tag);
    const Sizes s = sizes_of(geometry, x, dw, g);
    const std::int64_t pixels = g.dim(0) * s.oh * s.ow;
    require(pixels < std::int64_t{1} << 30, "conv2d_dw: {} pixels are more than one launch counts; use a smaller batch",
            pixels);
    const std::int64_t length = piece_length(pixels),
                       pieces = std::max<std::int64_t>(1, (pixels + length - 1) / length);
    Tensor partial = Tensor::empty({pieces, dw.size()}, x.kind());
    const Geometry how(geometry);
    const int all = static_cast<int>(pixels), piece = static_cast<int>(length);
    gemm<T>("conv2d_dw", PiecePatches<T>{{how, s, x.device_data<T>()}, all, piece},
            PieceGradient<T>{how.groups, s.cout, all, piece, g.device_data<T>()},
            PieceStore<T>{how.groups, s.cout, dw.size(), partial.mutable_device_data<T>()}, pieces * how.groups,
            s.kh * s.kw * s.cin, s.cout, std::min(length, pixels));
    Tensor sum = Tensor::empty({1, dw.size()}, x.kind());
    sum_to(partial, sum);
    dw = sum.reshaped(dw.shape());
  });
}

}  // namespace costate::cuda
