// Group norm (+ SiLU) and its vector-Jacobian product, each in one launch (group_norm.h: how an image is shared among blocks). Sums
// in f64, in an order that follows from the image's shape.
#include "core/kernels/group_norm.h"

#include <numeric>

#include "core/kernels/row_norm.h"
#include "gpu/group_norm.h"
#include "gpu/precision.h"
#include "gpu/row_norm.h"

namespace costate::cuda {
namespace {

template <int v, bool held, class T>
__global__ void __launch_bounds__(most_threads, 2)
    forward_kernel(const __grid_constant__ Norm<T> norm, const T* __restrict__ x, T* __restrict__ y) {
  kernel_begins();
  using S = Share<v, held, T>;
  using C = typename S::C;
  const S s(norm, x);
  s.fetch(x, s.x);
  s.fetch_parameters();
  copies_wait<0>();
  s.normalise();
  s.has_read();
  s.over_columns([&](int i) {
    Channel<C> k[v];
    for (int e = 0; e < v; ++e) k[e] = s.channels[i * v + e];
    s.template over_pixels<4>(
        i, [&](int place, std::int64_t at) { return s.x_at(place, at); },
        [&](const typename S::In& in, int, std::int64_t at) {
          C out[v];
          for (int e = 0; e < v; ++e) {
            const C u = k[e].u(in[e]);
            out[e] = norm.silu ? u * sigmoid(u) : u;
          }
          store_word(y + at, S::In::of(out));
        });
  });
  s.end();
}

/// dx = rstd (du gamma - mean(du gamma) - xhat mean(du gamma xhat)); sums of du and du xhat over each block's pixels go to
/// `by_channel`, if wanted.
template <int v, bool held, class T>
__global__ void __launch_bounds__(most_threads, 2)
    vjp_kernel(const __grid_constant__ Norm<T> norm, const T* __restrict__ x, const T* __restrict__ g,
               T* __restrict__ dx, Two* by_channel) {
  kernel_begins();
  using S = Share<v, held, T>;
  using C = typename S::C;
  const S s(norm, x);
  Two* const of_channels =
      by_channel == nullptr ? nullptr : reinterpret_cast<Two*>(dynamic_shared<unsigned char>() + norm.room.by_channel);
  s.fetch(x, s.x);
  s.fetch(g, s.du);
  s.fetch_parameters();
  copies_wait<1>();
  s.normalise();
  copies_wait<0>();
  s.find_slopes(g, of_channels);
  s.has_read();
  s.over_columns([&](int i) {
    Channel<C> k[v];
    Pair<C> slope[v];
    for (int e = 0; e < v; ++e) k[e] = s.channels[i * v + e], slope[e] = s.slopes[i * v + e];
    s.template over_pixels<sizeof(T) == 2 ? 4 : 2>(
        i, [&](int place, std::int64_t at) { return s.values_at(g, place, at); },
        [&](const typename S::Values& in, int, std::int64_t at) {
          C out[v];
          for (int e = 0; e < v; ++e) {
            const C x = in.x[e], du = held ? in.back[e] : k[e].du(norm.silu, x, in.back[e]);
            out[e] = k[e].scale * du - slope[e].first - slope[e].second * (x - k[e].mean);
          }
          store_word(dx + at, S::In::of(out));
        });
  });
  if (by_channel != nullptr) s.add_channels(of_channels, by_channel);
  s.end();
}

constexpr int columns = 32, slices = 32;  // of a block that adds images up

/// The parameters' gradients: sums of `by_channel` (part of an image, channel) over the parts.
template <class T>
__global__ void parameter_kernel(std::int64_t parts, int channels, const Two* by_channel, T* gamma, T* beta) {
  kernel_begins();
  Two* sums = dynamic_shared<Two>();
  const int column = static_cast<int>(threadIdx.x) % columns, slice = static_cast<int>(threadIdx.x) / columns,
            c = static_cast<int>(blockIdx.x) * columns + column;
  Two sum{0, 0};
#pragma unroll 4
  for (std::int64_t i = slice; i < parts && c < channels; i += slices) sum = sum + by_channel[i * channels + c];
  sums[threadIdx.x] = sum;
  for (int half = slices / 2; half > 0; half /= 2) {
    __syncthreads();
    if (slice < half) sums[threadIdx.x] = sums[threadIdx.x] + sums[threadIdx.x + static_cast<unsigned>(half * columns)];
  }
  if (slice > 0 || c >= channels) return;
  if (gamma != nullptr) gamma[c] = narrow<T>(sums[column].b);
  if (beta != nullptr) beta[c] = narrow<T>(sums[column].a);
}

/// How many groups a cluster takes: as few as make 16 channels, whole 32-byte sectors of memory, and vectors of `v`; or all.
std::int64_t groups_of_a_cluster(std::int64_t groups, std::int64_t width, int v) {
  for (std::int64_t taken = 1; taken < groups; ++taken)
    if (groups % taken == 0 && taken * width >= 16 && taken * width % v == 0) return taken;
  return groups;
}

/// About 128 bytes of x a thread, and 1024 vectors of `v` channels a block as long as eight blocks are enough.
Cut cut_of(const GroupNormSpec& spec, const Tensor& x, int v) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3), width = channels / spec.groups,
                     taken = groups_of_a_cluster(spec.groups, width, v), set = taken * width, across = set / v,
                     vectors = std::int64_t{128} / (v * static_cast<std::int64_t>(size_of(x.dtype())));
  std::int64_t parts = 1;
  while (has_clusters() && parts < most_parts && across * pixels > parts * 1024) parts *= 2;
  const std::int64_t chunk = (pixels + parts - 1) / parts,
                     threads = std::clamp<std::int64_t>((across * chunk / vectors + 31) / 32 * 32, 64, most_threads),
                     halvings = std::gcd(width, v) / 2;  // of 1, 2, 4
  require(pixels * channels < std::int64_t{1} << 31 && x.dim(0) * (channels / set) * parts < std::int64_t{1} << 31,
          "group_norm: {} holds more than one launch does; use a smaller batch", x.shape());
  const auto n = [](std::int64_t extent) { return static_cast<int>(extent); };
  return {.pixels = n(pixels),
          .channels = n(channels),
          .width = n(width),
          .taken = n(taken),
          .set = n(set),
          .across = n(across),
          .parts = n(parts),
          .chunk = n(chunk),
          .threads = n(threads),
          .lanes = n(std::max<std::int64_t>(1, threads / across)),
          .halvings = n(halvings),
          .by_parts = Divisor(parts),
          .by_sets = Divisor(channels / set),
          .by_across = Divisor(across),
          .by_width = Divisor(width),
          .by_terms = Divisor(width >> halvings)};
}

/// `vectors` of x, and of du, are held.
template <int v, class T>
Room room_of(const Cut& cut, int vectors_of_x, int vectors_of_du, bool by_channel) {
  using C = decltype(widen(T{}));
  Room room{};
  const auto take = [&](std::size_t& start, int count, std::size_t size) {
    start = room.bytes;
    room.bytes += (static_cast<std::size_t>(count) * size + 15) / 16 * 16;
  };
  std::size_t first = 0;
  take(first, cut.lanes * (cut.set >> cut.halvings), sizeof(Two));
  take(room.totals, 2 * cut.taken, sizeof(Two));
  take(room.by_channel, by_channel ? cut.lanes * cut.set : 0, sizeof(Two));
  take(room.moments, cut.taken, sizeof(Pair<C>));
  take(room.channels, cut.set, sizeof(Channel<C>));
  take(room.slopes, cut.set, sizeof(Pair<C>));
  take(room.x, vectors_of_x, sizeof(Pack<T, v>));
  take(room.du, vectors_of_du, sizeof(Pack<C, v>));
  return room;
}

/// Starts one of two kernels, the first if a block's share of x (and du) fits into its shared memory, with a block a part of each
/// set of each image.
template <int v, class T, class... P, class... A>
void over_parts(const char* op, Norm<T> norm, std::int64_t images, bool backward, bool by_channel,
                void (*held)(Norm<T>, P...), void (*read_again)(Norm<T>, P...), const A&... args) {
  const Cut& cut = norm.cut;
  const int vectors = cut.across * cut.chunk;
  norm.room = room_of<v, T>(cut, vectors, backward ? vectors : 0, by_channel);
  const bool fits = norm.room.bytes <= most_shared();
  if (!fits) norm.room = room_of<v, T>(cut, 0, 0, by_channel);
  launch_clusters(op, static_cast<unsigned>(cut.parts),
                  dim3(static_cast<unsigned>(images * (cut.channels / cut.set) * cut.parts)),
                  dim3(static_cast<unsigned>(cut.threads)), norm.room.bytes, fits ? held : read_again, norm, args...);
}

/// f(T{}, channels a thread) for the dtype, with as many as fit the last axis of x and where it and the others lie.
template <class F, class... Others>
void with_vectors(const char* op, const F& f, const Tensor& x, const Others&... others) {
  visit_floating(x.dtype(), op, [&]<class T>(T type) {
    constexpr int wide = sizeof(T) == 8 ? 2 : 4;
    const auto aligned = [](const Tensor& t) {
      return reinterpret_cast<std::uintptr_t>(t.device_data<T>()) % sizeof(Pack<T, wide>) == 0;
    };
    if (x.dim(3) % wide == 0 && aligned(x) && (aligned(others) && ...))
      f(type, std::integral_constant<int, wide>{});
    else
      f(type, std::integral_constant<int, 1>{});
  });
}

template <class T>
Norm<T> norm_of(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, int v) {
  const auto elements = static_cast<double>(x.size() / x.dim(0) / spec.groups);
  return {.cut = cut_of(spec, x, v),
          .room = {},
          .eps = spec.eps,
          .weight = 1 / elements,
          .silu = spec.silu,
          .gamma = gamma.device_data<T>(),
          .beta = beta.device_data<T>()};
}

template <class T>
Rows<T> rows_of(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  return {.count = x.dim(0),
          .width = static_cast<int>(x.dim(3)),
          .eps = spec.eps,
          .silu = spec.silu,
          .gamma = gamma.device_data<T>(),
          .beta = beta.device_data<T>()};
}

/// The parameters' gradients, from sums over `parts` stretches of images.
template <class T>
void add_parts(const char* op, std::int64_t parts, std::int64_t channels, const Two* by_channel,
               GroupNormGrads& grads) {
  const auto data = [](Tensor& t) { return t.defined() ? t.mutable_device_data<T>() : nullptr; };
  launch_shared(op, dim3(static_cast<unsigned>((channels + columns - 1) / columns)), dim3(columns * slices),
                sizeof(Two) * columns * slices, parameter_kernel<T>, parts, static_cast<int>(channels), by_channel,
                data(grads.gamma), data(grads.beta));
}

}  // namespace

void group_norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor& y) {
  if (x.size() == 0) return;
  constexpr const char* op = "group_norm";
  const auto go = [&]<class T, int v>(T, std::integral_constant<int, v>) {
    const T* from = x.device_data<T>();
    T* to = y.mutable_device_data<T>();
    if (cpu::is_row_norm(spec, x)) return over_rows(op, rows_of<T>(spec, x, gamma, beta), row_kernel<v, T>, from, to);
    over_parts<v>(op, norm_of<T>(spec, x, gamma, beta, v), x.dim(0), false, false, forward_kernel<v, true, T>,
                  forward_kernel<v, false, T>, from, to);
  };
  with_vectors(op, go, x, gamma, beta, y);
}

void group_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                    const Tensor& g, GroupNormGrads& grads) {
  if (x.size() == 0) return;
  constexpr const char* op = "group_norm_vjp";
  const bool parameters = grads.gamma.defined() || grads.beta.defined();
  const auto go = [&]<class T, int v>(T, std::integral_constant<int, v>) {
    const Norm<T> norm = norm_of<T>(spec, x, gamma, beta, v);
    const bool rows = cpu::is_row_norm(spec, x);
    const std::int64_t parts = x.dim(0) * (rows ? 1 : norm.cut.parts);
    Tensor sums = parameters ? Tensor::empty({parts, x.dim(3), 2}, {DType::f64, Device::cuda}) : Tensor();
    Two* by_channel = parameters ? reinterpret_cast<Two*>(sums.mutable_device_data<double>()) : nullptr;
    const T *from = x.device_data<T>(), *back = g.device_data<T>();
    T* dx = grads.x.mutable_device_data<T>();
    if (rows)
      over_rows(op, rows_of<T>(spec, x, gamma, beta), row_vjp_kernel<v, T>, from, back, dx, by_channel);
    else
      over_parts<v>(op, norm, x.dim(0), true, parameters, vjp_kernel<v, true, T>, vjp_kernel<v, false, T>, from, back,
                    dx, by_channel);
    if (parameters) add_parts<T>(op, parts, x.dim(3), by_channel, grads);
  };
  with_vectors(op, go, x, gamma, beta, g, grads.x);
}

}  // namespace costate::cuda
