// Group norm (+ SiLU) and its vector-Jacobian product, each in one launch: a block takes neighbouring groups of one image and goes
// over them twice (three times for the vjp; all but the first time they come from the cache). Sums in f64, in a fixed order.
#include "core/kernels/group_norm.h"

#include <algorithm>
#include <cmath>

#include "gpu/elementwise.h"
#include "gpu/precision.h"
#include "gpu/ptx.h"

namespace costate::cuda {
namespace {

constexpr int most_threads = 512;

/// Extents; a block has `taken` groups, `set` channels.
struct Sizes {
  int pixels, channels, groups, width, taken, set;
  [[nodiscard]] __host__ __device__ int sets() const { return groups / taken; }
};

/// A pair of sums, of x and its square or of du and du xhat.
struct Two {
  double a, b;
  __device__ Two operator+(const Two& o) const { return {a + o.a, b + o.b}; }
};

/// Mean and 1 / standard deviation of a group, or means of its slopes.
template <class C>
struct Moments {
  C first, second;
};

/// Which image and channels a block has, and how its threads share them: v neighbouring channels each, `lanes` pixels at a time.
template <int v>
struct Share {
  int across, lanes, lane, first_channel;
  std::int64_t image, start;  ///< start: element of the first pixel and channel
  __device__ explicit Share(const Sizes& z)
      : across(z.set / v),
        lanes(static_cast<int>(blockDim.x) < across ? 1 : static_cast<int>(blockDim.x) / across),
        lane(static_cast<int>(threadIdx.x) / across),
        first_channel(static_cast<int>(blockIdx.x % static_cast<unsigned>(z.sets())) * z.set),
        image(blockIdx.x / static_cast<unsigned>(z.sets())),
        start(image * z.pixels * z.channels + first_channel) {}

  /// f(first of v channels, counted from first_channel) for this thread's.
  template <class F>
  __device__ void over_channels(const F& f) const {
    if (lane >= lanes) return;
    for (int c = static_cast<int>(threadIdx.x) % across; c < across; c += static_cast<int>(blockDim.x)) f(c * v);
  }
  /// f(element) for this thread's pixels of a channel.
  template <class F>
  __device__ void over_pixels(const Sizes& z, int c, const F& f) const {
#pragma unroll 4
    for (int p = lane; p < z.pixels; p += lanes) f(start + std::int64_t{p} * z.channels + c);
  }
};

/// items[i] += items[i + half] until one of `count` is left, for `problems` lists `apart` apart of items `size` long.
__device__ void halve(Two* items, int count, int size, int problems, int apart) {
  while (count > 1) {
    const int half = (count + 1) / 2, pairs = (count - half) * size;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < pairs * problems; i += static_cast<int>(blockDim.x)) {
      Two* to = items + i / pairs * apart + i % pairs;
      *to = *to + to[half * size];
    }
    count = half;
  }
  __syncthreads();
}

/// The first element of a channel's group, which x is shifted by before it is squared.
template <int v, class T>
__device__ double shift_of(const Sizes& z, const Share<v>& s, const T* x, int c) {
  return widen(x[s.start + c / z.width * z.width]);
}

/// Puts mean and 1 / standard deviation of the block's groups into `moments`.
template <int v, class T, class C>
__device__ void normalise(const Sizes& z, const Share<v>& s, double eps, const T* __restrict__ x, Two* sums,
                          Moments<C>* moments) {
  s.over_channels([&](int c) {
    Two sum[v] = {};
    double shift[v];
    for (int e = 0; e < v; ++e) shift[e] = shift_of(z, s, x, c + e);
    s.over_pixels(z, c, [&](std::int64_t at) {
      const auto in = *reinterpret_cast<const Pack<T, v>*>(x + at);
      for (int e = 0; e < v; ++e) {
        const double d = widen(in.v[e]) - shift[e];
        sum[e] = {sum[e].a + d, sum[e].b + d * d};
      }
    });
    for (int e = 0; e < v; ++e) sums[s.lane * z.set + c + e] = sum[e];
  });
  halve(sums, s.lanes, z.set, 1, 0);
  halve(sums, z.width, 1, z.taken, z.width);
  for (int g = static_cast<int>(threadIdx.x); g < z.taken; g += static_cast<int>(blockDim.x)) {
    const double n = static_cast<double>(z.pixels) * z.width, off = sums[g * z.width].a / n,
                 variance = sums[g * z.width].b / n - off * off;
    moments[g] = {static_cast<C>(shift_of(z, s, x, g * z.width) + off),
                  static_cast<C>(1 / std::sqrt((variance > 0 || variance != variance ? variance : 0) + eps))};
  }
  __syncthreads();
}

/// What the elements of a channel share: u = xhat gamma + beta, xhat = (x - mean) rstd.
template <class C>
struct Channel {
  C mean, rstd, gamma, beta;
  __device__ C normal(C x) const { return (x - mean) * rstd; }
  __device__ C u(C x) const { return (x - mean) * (rstd * gamma) + beta; }
  /// The gradient of u, from that of y.
  __device__ C du(bool silu, C x, C g) const {
    if (!silu) return g;
    const C at = u(x), s = 1 / (1 + std::exp(-at));
    return g * (s * (1 + at * (1 - s)));
  }
};

template <class T>
struct Norm {
  using C = decltype(widen(T{}));
  Sizes z;
  double eps;
  bool silu;
  const T *gamma, *beta;

  template <int v>
  __device__ Channel<C> channel(const Share<v>& s, const Moments<C>* moments, int c) const {
    const auto m = moments[c / z.width];
    return {m.first, m.second, widen(gamma[s.first_channel + c]), widen(beta[s.first_channel + c])};
  }
};

/// What both kernels begin with: a block's share, and in its shared memory room for sums and the moments of its groups.
template <int v, class T>
struct Normalised : Share<v> {
  Two* sums = dynamic_shared<Two>();
  Moments<typename Norm<T>::C>* moments;
  __device__ Normalised(const Norm<T>& norm, const T* __restrict__ x)
      : Share<v>(norm.z), moments(reinterpret_cast<Moments<typename Norm<T>::C>*>(sums + this->lanes * norm.z.set)) {
    normalise(norm.z, *this, norm.eps, x, sums, moments);
  }
};

template <int v, class T, class C = typename Norm<T>::C>
__global__ void __launch_bounds__(most_threads, 2)
    forward_kernel(Norm<T> norm, const T* __restrict__ x, T* __restrict__ y) {
  kernel_begins();
  const Sizes& z = norm.z;
  const Normalised<v, T> s(norm, x);
  s.over_channels([&](int c) {
    Channel<C> k[v];
    for (int e = 0; e < v; ++e) k[e] = norm.channel(s, s.moments, c + e);
    s.over_pixels(z, c, [&](std::int64_t at) {
      const auto in = *reinterpret_cast<const Pack<T, v>*>(x + at);
      Pack<T, v> out;
      for (int e = 0; e < v; ++e) {
        const C u = k[e].u(widen(in.v[e]));
        out.v[e] = narrow<T>(norm.silu ? u / (1 + std::exp(-u)) : u);
      }
      *reinterpret_cast<Pack<T, v>*>(y + at) = out;
    });
  });
}

/// dx = rstd (du gamma - mean(du gamma) - xhat mean(du gamma xhat)); sums of du and du xhat over the image go to `by_channel`, if
/// wanted.
template <int v, class T, class C = typename Norm<T>::C>
__global__ void __launch_bounds__(most_threads, 2)
    vjp_kernel(Norm<T> norm, const T* __restrict__ x, const T* __restrict__ g, T* __restrict__ dx, Two* by_channel) {
  kernel_begins();
  const Sizes& z = norm.z;
  const Normalised<v, T> s(norm, x);
  Two* const sums = s.sums;
  s.over_channels([&](int c) {
    Channel<C> k[v];
    Two sum[v] = {};
    for (int e = 0; e < v; ++e) k[e] = norm.channel(s, s.moments, c + e);
    s.over_pixels(z, c, [&](std::int64_t at) {
      const auto in = *reinterpret_cast<const Pack<T, v>*>(x + at),
                 slope = *reinterpret_cast<const Pack<T, v>*>(g + at);
      for (int e = 0; e < v; ++e) {
        const C value = widen(in.v[e]), du = k[e].du(norm.silu, value, widen(slope.v[e]));
        sum[e] = sum[e] + Two{du, static_cast<double>(du) * k[e].normal(value)};
      }
    });
    for (int e = 0; e < v; ++e) sums[s.lane * z.set + c + e] = sum[e];
  });
  halve(sums, s.lanes, z.set, 1, 0);
  for (int c = static_cast<int>(threadIdx.x); c < z.set; c += static_cast<int>(blockDim.x)) {
    const double gamma = widen(norm.gamma[s.first_channel + c]);
    if (by_channel != nullptr) by_channel[s.image * z.channels + s.first_channel + c] = sums[c];
    sums[c] = {gamma * sums[c].a, gamma * sums[c].b};
  }
  halve(sums, z.width, 1, z.taken, z.width);
  const double n = static_cast<double>(z.pixels) * z.width;
  s.over_channels([&](int c) {
    Channel<C> k[v];
    C mean[v], slope[v];
    for (int e = 0; e < v; ++e) {
      const Two of_group = sums[(c + e) / z.width * z.width];
      k[e] = norm.channel(s, s.moments, c + e);
      mean[e] = static_cast<C>(of_group.a / n);
      slope[e] = static_cast<C>(of_group.b / n);
    }
    s.over_pixels(z, c, [&](std::int64_t at) {
      const auto in = *reinterpret_cast<const Pack<T, v>*>(x + at), back = *reinterpret_cast<const Pack<T, v>*>(g + at);
      Pack<T, v> out;
      for (int e = 0; e < v; ++e) {
        const C value = widen(in.v[e]), du = k[e].du(norm.silu, value, widen(back.v[e]));
        out.v[e] = narrow<T>(k[e].rstd * (du * k[e].gamma - mean[e] - k[e].normal(value) * slope[e]));
      }
      *reinterpret_cast<Pack<T, v>*>(dx + at) = out;
    });
  });
}

constexpr int columns = 32, slices = 32;  // of a block that adds images up

/// The parameters' gradients: sums of `by_channel` (image, channel) over the images.
template <class T>
__global__ void parameter_kernel(std::int64_t images, int channels, const Two* by_channel, T* gamma, T* beta) {
  kernel_begins();
  Two* sums = dynamic_shared<Two>();
  const int column = static_cast<int>(threadIdx.x) % columns, slice = static_cast<int>(threadIdx.x) / columns,
            c = static_cast<int>(blockIdx.x) * columns + column;
  Two sum{0, 0};
#pragma unroll 4
  for (std::int64_t i = slice; i < images && c < channels; i += slices) sum = sum + by_channel[i * channels + c];
  sums[threadIdx.x] = sum;
  halve(sums, slices, columns, 1, 0);
  if (slice > 0 || c >= channels) return;
  if (gamma != nullptr) gamma[c] = narrow<T>(sums[column].b);
  if (beta != nullptr) beta[c] = narrow<T>(sums[column].a);
}

/// How many groups a block takes: as few as make 32 neighbouring bytes of a pixel and whole vectors of `v` channels, or all.
std::int64_t groups_of_a_block(std::int64_t groups, std::int64_t width, DType dtype, int v) {
  const auto wanted = static_cast<std::int64_t>(32 / size_of(dtype));
  for (std::int64_t taken = 1; taken < groups; ++taken)
    if (groups % taken == 0 && taken * width >= wanted && taken * width % v == 0) return taken;
  return groups;
}

Sizes sizes_of(const GroupNormSpec& spec, const Tensor& x, int v) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3), width = channels / spec.groups,
                     taken = groups_of_a_block(spec.groups, width, x.dtype(), v);
  require(pixels * channels < std::int64_t{1} << 31 && x.dim(0) * spec.groups < std::int64_t{1} << 31,
          "group_norm: {} holds more than one launch does; use a smaller batch", x.shape());
  const auto n = [](std::int64_t extent) { return static_cast<int>(extent); };
  return {n(pixels), n(channels), n(spec.groups), n(width), n(taken), n(taken * width)};
}

/// Starts a kernel with a block a set of groups of each image. Threads by the image's size alone: about two vectors each.
template <class C, class... P, class... A>
void over_sets(const char* op, const Sizes& z, int v, std::int64_t images, void (*kernel)(P...), const A&... args) {
  const std::int64_t across = z.set / v, vectors = across * z.pixels,
                     threads = std::clamp<std::int64_t>((vectors / 2 + 31) / 32 * 32, 64, most_threads),
                     lanes = std::max<std::int64_t>(1, threads / across);
  launch_shared(
      op, dim3(static_cast<unsigned>(images * z.sets())), dim3(static_cast<unsigned>(threads)),
      sizeof(Two) * static_cast<std::size_t>(lanes * z.set) + sizeof(Moments<C>) * static_cast<std::size_t>(z.taken),
      kernel, args...);
}

/// f(T{}, vector width, norm) for the dtype, with as many channels a thread as fit.
template <class F>
void with_norm(const char* op, const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
               const F& f) {
  visit_floating(x.dtype(), op, [&]<class T>(T) {
    constexpr int wide = sizeof(T) == 8 ? 2 : 4;
    const Norm<T> norm{sizes_of(spec, x, wide), spec.eps, spec.silu, gamma.device_data<T>(), beta.device_data<T>()};
    if (norm.z.set % wide == 0)
      f(T{}, std::integral_constant<int, wide>{}, norm);
    else
      f(T{}, std::integral_constant<int, 1>{}, norm);
  });
}

}  // namespace

void group_norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor& y) {
  if (x.size() == 0) return;
  with_norm("group_norm", spec, x, gamma, beta, [&]<class T, int v>(T, std::integral_constant<int, v>, Norm<T> norm) {
    over_sets<typename Norm<T>::C>("group_norm", norm.z, v, x.dim(0), forward_kernel<v, T>, norm, x.device_data<T>(),
                                   y.mutable_device_data<T>());
  });
}

void group_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                    const Tensor& g, GroupNormGrads& grads) {
  if (x.size() == 0) return;
  constexpr const char* op = "group_norm_vjp";
  const bool parameters = grads.gamma.defined() || grads.beta.defined();
  with_norm(op, spec, x, gamma, beta, [&]<class T, int v>(T, std::integral_constant<int, v>, Norm<T> norm) {
    Tensor sums = parameters ? Tensor::empty({x.dim(0), x.dim(3), 2}, {DType::f64, Device::cuda}) : Tensor();
    Two* by_channel = parameters ? reinterpret_cast<Two*>(sums.mutable_device_data<double>()) : nullptr;
    over_sets<typename Norm<T>::C>(op, norm.z, v, x.dim(0), vjp_kernel<v, T>, norm, x.device_data<T>(),
                                   g.device_data<T>(), grads.x.mutable_device_data<T>(), by_channel);
    if (!parameters) return;
    const auto data = [](Tensor& t) { return t.defined() ? t.mutable_device_data<T>() : nullptr; };
    launch_shared(op, dim3(static_cast<unsigned>((norm.z.channels + columns - 1) / columns)), dim3(columns * slices),
                  sizeof(Two) * columns * slices, parameter_kernel<T>, x.dim(0), norm.z.channels, by_channel,
                  data(grads.gamma), data(grads.beta));
  });
}

}  // namespace costate::cuda
