// Group norm (+ SiLU) and its vector-Jacobian product. An image is cut into bands of pixels by its size alone, a block each; a
// thread goes down one channel of a band, so that all reads are side by side. Sums in f64, bands added in a fixed order.
//
//   forward: band sums -> y.     back: band sums -> sums of du and du xhat -> dx (and, summed over bands, the parameters).
#include "core/kernels/group_norm.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/reduce.h"
#include "gpu/elementwise.h"
#include "gpu/precision.h"
#include "gpu/ptx.h"

namespace costate::cuda {
namespace {

constexpr int threads = 256;

/// Extents, and the pixels of a band.
struct Sizes {
  int pixels, channels, groups, width, band, bands;
};

/// A pair of sums, of x and its square or of du and du xhat.
struct Two {
  double a, b;
  __device__ Two operator+(const Two& o) const { return {a + o.a, b + o.b}; }
};

/// The image of a block's band.
__device__ std::int64_t image_of(const Sizes& z) { return blockIdx.x / static_cast<unsigned>(z.bands); }

/// A block's band (blockIdx.x: image and band), and how its threads share the work: `lanes` pixels side by side.
struct Share {
  int lanes, lane, first, end;
  std::int64_t image, row;  ///< row: of partial sums
  __device__ explicit Share(const Sizes& z)
      : lanes(z.channels < threads ? threads / z.channels : 1),
        lane(static_cast<int>(threadIdx.x) / z.channels),
        first(static_cast<int>(blockIdx.x % static_cast<unsigned>(z.bands)) * z.band),
        end(first + z.band < z.pixels ? first + z.band : z.pixels),
        image(image_of(z) * z.pixels * z.channels),
        row(blockIdx.x) {}

  /// f(channel) for this thread's channels.
  template <class F>
  __device__ void over_channels(const Sizes& z, const F& f) const {
    if (lane >= lanes) return;
    const int across = z.channels < threads ? z.channels : threads;
    for (int c = static_cast<int>(threadIdx.x) % across; c < z.channels; c += across) f(c);
  }
  /// f(element) for this thread's pixels of a channel.
  template <class F>
  __device__ void over_pixels(const Sizes& z, int c, const F& f) const {
#pragma unroll 4
    for (int p = first + lane; p < end; p += lanes) f(image + std::int64_t{p} * z.channels + c);
  }
};

/// to[g] = term(g, 0) + term(g, 1) + ... for every group, in a fixed order; `to` has room for a Two a thread and a group.
template <class F>
__device__ void sum_groups(const Sizes& z, int count, Two* to, const F& term) {
  int slices = 1;
  while (2 * slices * z.groups <= threads) slices *= 2;
  for (int item = static_cast<int>(threadIdx.x); item < slices * z.groups; item += threads) {
    Two sum{0, 0};
#pragma unroll 4
    for (int i = item / z.groups; i < count; i += slices) sum = sum + term(item % z.groups, i);
    to[item] = sum;
  }
  __syncthreads();
  for (int half = slices / 2; half > 0; half /= 2) {
    for (int item = static_cast<int>(threadIdx.x); item < half * z.groups; item += threads)
      to[item] = to[item] + to[item + half * z.groups];
    __syncthreads();
  }
}

/// Adds a block's sums, by (lane, channel) in `mine`, to sums of the band by channel (if wanted) and by group, there times weight(c).
template <class F>
__device__ void add_up(const Sizes& z, const Share& s, Two* mine, Two* by_channel, Two* by_group, const F& weight) {
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < z.channels; c += threads) {
    for (int lane = 1; lane < s.lanes; ++lane) mine[c] = mine[c] + mine[lane * z.channels + c];
    if (by_channel != nullptr) by_channel[s.row * z.channels + c] = mine[c];
  }
  __syncthreads();
  Two* sums = mine + s.lanes * z.channels;
  sum_groups(z, z.width, sums, [&](int g, int i) {
    const double factor = weight(g * z.width + i);
    const Two channel = mine[g * z.width + i];
    return Two{factor * channel.a, factor * channel.b};
  });
  for (int g = static_cast<int>(threadIdx.x); g < z.groups; g += threads) by_group[s.row * z.groups + g] = sums[g];
}

/// sums[g]: of all bands of the block's image.
__device__ void of_image(const Sizes& z, const Two* by_group, Two* sums) {
  const Two* mine = by_group + image_of(z) * z.bands * z.groups;
  sum_groups(z, z.bands, sums, [&](int g, int band) { return mine[std::int64_t{band} * z.groups + g]; });
}

/// An element of the group, that x is shifted by before it is squared.
template <class T>
__device__ double shift_of(const Sizes& z, const T* x, int group) {
  return widen(x[image_of(z) * z.pixels * z.channels + group * z.width]);
}

template <class T>
__global__ void sums_kernel(Sizes z, const T* x, Two* by_group) {
  Two* mine = dynamic_shared<Two>();
  const Share s(z);
  s.over_channels(z, [&](int c) {
    const double shift = shift_of(z, x, c / z.width);
    Two sum{0, 0};
    s.over_pixels(z, c, [&](std::int64_t at) {
      const double v = widen(x[at]) - shift;
      sum = sum + Two{v, v * v};
    });
    mine[s.lane * z.channels + c] = sum;
  });
  add_up(z, s, mine, nullptr, by_group, [](int) { return 1.0; });
}

/// What the elements of a channel share: u = (x - mean) scale + shift.
template <class C>
struct Channel {
  C mean, rstd, gamma, beta;
  __device__ C normal(C x) const { return (x - mean) * rstd; }
  __device__ C u(C x) const { return (x - mean) * (rstd * gamma) + beta; }
};

template <class T>
struct Norm {
  using C = decltype(widen(T{}));
  Sizes z;
  double eps;
  bool silu;
  const T *x, *gamma, *beta;

  /// From sums over the image.
  __device__ Channel<C> channel(const Two* sums, int c) const {
    const double n = static_cast<double>(z.pixels) * z.width;
    const Two sum = sums[c / z.width];
    const double off = sum.a / n, variance = sum.b / n - off * off;
    return {static_cast<C>(shift_of(z, x, c / z.width) + off),
            static_cast<C>(1 / std::sqrt((variance > 0 || variance != variance ? variance : 0) + eps)), widen(gamma[c]),
            widen(beta[c])};
  }
  /// The gradient of u.
  __device__ C du(const Channel<C>& k, C x, C g) const {
    if (!silu) return g;
    const C u = k.u(x), s = 1 / (1 + std::exp(-u));
    return g * (s * (1 + u * (1 - s)));
  }
};

template <class T>
__global__ void forward_kernel(Norm<T> norm, const Two* by_group, T* y) {
  Two* sums = dynamic_shared<Two>();
  of_image(norm.z, by_group, sums);
  const Share s(norm.z);
  s.over_channels(norm.z, [&](int c) {
    const auto k = norm.channel(sums, c);
    s.over_pixels(norm.z, c, [&](std::int64_t at) {
      const auto u = k.u(widen(norm.x[at]));
      y[at] = narrow<T>(norm.silu ? u / (1 + std::exp(-u)) : u);
    });
  });
}

/// Sums of du and of du xhat: by channel for the parameters, by group, times gamma, for dx.
template <class T>
__global__ void slopes_kernel(Norm<T> norm, const Two* by_group, const T* g, Two* by_channel, Two* slopes) {
  Two* mine = dynamic_shared<Two>();
  const Share s(norm.z);
  Two* sums = mine + s.lanes * norm.z.channels;
  of_image(norm.z, by_group, sums);
  s.over_channels(norm.z, [&](int c) {
    const auto k = norm.channel(sums, c);
    Two sum{0, 0};
    s.over_pixels(norm.z, c, [&](std::int64_t at) {
      const auto x = widen(norm.x[at]), du = norm.du(k, x, widen(g[at]));
      sum = sum + Two{du, static_cast<double>(du) * k.normal(x)};
    });
    mine[s.lane * norm.z.channels + c] = sum;
  });
  add_up(norm.z, s, mine, by_channel, slopes, [&](int c) { return static_cast<double>(widen(norm.gamma[c])); });
}

template <class T>
__global__ void dx_kernel(Norm<T> norm, const Two* by_group, const Two* slopes, const T* g, T* dx) {
  Two* sums = dynamic_shared<Two>();
  Two* means = sums + (norm.z.groups > threads ? norm.z.groups : threads);
  of_image(norm.z, by_group, sums);
  of_image(norm.z, slopes, means);
  const Share s(norm.z);
  using C = typename Norm<T>::C;
  s.over_channels(norm.z, [&](int c) {
    const auto k = norm.channel(sums, c);
    const double n = static_cast<double>(norm.z.pixels) * norm.z.width;
    const C mean = static_cast<C>(means[c / norm.z.width].a / n), slope = static_cast<C>(means[c / norm.z.width].b / n);
    s.over_pixels(norm.z, c, [&](std::int64_t at) {
      const C x = widen(norm.x[at]);
      dx[at] = narrow<T>(k.rstd * (norm.du(k, x, widen(g[at])) * k.gamma - mean - k.normal(x) * slope));
    });
  });
}

Sizes sizes_of(const GroupNormSpec& spec, const Tensor& x) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3),
                     band = std::max({std::int64_t{1}, 2048 / channels, (pixels + 63) / 64}),
                     bands = (pixels + band - 1) / band;
  require(pixels * channels < std::int64_t{1} << 31 && x.dim(0) * bands < std::int64_t{1} << 31,
          "group_norm: {} holds more than one launch does; use a smaller batch", x.shape());
  const auto n = [](std::int64_t extent) { return static_cast<int>(extent); };
  return {n(pixels), n(channels), n(spec.groups), n(channels / spec.groups), n(band), n(bands)};
}

/// Starts a kernel with a block a band of each image, and room for its sums by lane and channel and `lists` by group.
template <class... P, class... A>
void over_bands(const char* op, const Sizes& z, std::int64_t images, bool by_channel, int lists, void (*kernel)(P...),
                const A&... args) {
  const int lanes = std::max(1, threads / z.channels),
            room = (by_channel ? lanes * z.channels : 0) + lists * std::max(threads, z.groups);
  launch_shared(op, dim3(static_cast<unsigned>(z.bands * images)), dim3(threads),
                sizeof(Two) * static_cast<std::size_t>(room), kernel, args...);
}

/// Room for pairs of sums, (image and band, count).
Tensor room_for(const Sizes& z, std::int64_t images, std::int64_t count) {
  return Tensor::empty({images * z.bands, count, 2}, {DType::f64, Device::cuda});
}
Two* pairs(Tensor& t) { return reinterpret_cast<Two*>(t.mutable_device_data<double>()); }

template <class T>
Tensor image_sums(const char* op, const Norm<T>& norm, std::int64_t images) {
  Tensor sums = room_for(norm.z, images, norm.z.groups);
  over_bands(op, norm.z, images, true, 1, sums_kernel<T>, norm.z, norm.x, pairs(sums));
  return sums;
}

/// The sums by channel (image and band, channel), added over the first axis, go to the parameters.
template <class T>
__global__ void split_pairs(int channels, const Two* sums, T* gamma, T* beta) {
  const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (c >= channels) return;
  if (gamma != nullptr) gamma[c] = narrow<T>(sums[c].b);
  if (beta != nullptr) beta[c] = narrow<T>(sums[c].a);
}

template <class T>
void parameter_gradients(const Sizes& z, const Tensor& by_channel, GroupNormGrads& grads) {
  Tensor sum = Tensor::empty({1, z.channels, 2}, {DType::f64, Device::cuda});
  sum_to(by_channel, sum);
  const auto data = [](Tensor& t) { return t.defined() ? t.mutable_device_data<T>() : nullptr; };
  launch("group_norm_vjp", blocks_for(z.channels), dim3(256), split_pairs<T>, z.channels, pairs(sum), data(grads.gamma),
         data(grads.beta));
}

template <class T>
Norm<T> norm_of(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  return {sizes_of(spec, x), spec.eps, spec.silu, x.device_data<T>(), gamma.device_data<T>(), beta.device_data<T>()};
}

}  // namespace

void group_norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor& y) {
  if (x.size() == 0) return;
  visit_floating(x.dtype(), "group_norm", [&]<class T>(T) {
    const auto norm = norm_of<T>(spec, x, gamma, beta);
    Tensor sums = image_sums("group_norm", norm, x.dim(0));
    over_bands("group_norm", norm.z, x.dim(0), false, 1, forward_kernel<T>, norm, pairs(sums),
               y.mutable_device_data<T>());
  });
}

void group_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                    const Tensor& g, GroupNormGrads& grads) {
  if (x.size() == 0) return;
  visit_floating(x.dtype(), "group_norm_vjp", [&]<class T>(T) {
    const auto norm = norm_of<T>(spec, x, gamma, beta);
    const std::int64_t images = x.dim(0);
    const bool parameters = grads.gamma.defined() || grads.beta.defined();
    Tensor sums = image_sums("group_norm_vjp", norm, images), slopes = room_for(norm.z, images, norm.z.groups);
    Tensor by_channel = parameters ? room_for(norm.z, images, norm.z.channels) : Tensor();
    over_bands("group_norm_vjp", norm.z, images, true, 1, slopes_kernel<T>, norm, pairs(sums), g.device_data<T>(),
               parameters ? pairs(by_channel) : nullptr, pairs(slopes));
    over_bands("group_norm_vjp", norm.z, images, false, 2, dx_kernel<T>, norm, pairs(sums), pairs(slopes),
               g.device_data<T>(), grads.x.mutable_device_data<T>());
    if (parameters) parameter_gradients<T>(norm.z, by_channel, grads);
  });
}

}  // namespace costate::cuda
