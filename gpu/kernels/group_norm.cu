// Group norm (+ SiLU) and its vector-Jacobian product, each in one launch (group_norm.h: how an image is shared among blocks). Sums
// in f64, in an order that follows from the image's shape.
#include "core/kernels/group_norm.h"

#include <bit>
#include <numeric>

#include "core/kernels/row_norm.h"
#include "gpu/group_norm.h"
#include "gpu/precision.h"
#include "gpu/row_norm.h"

namespace costate::cuda {
namespace {

// The bounds are such that a thread has 64 registers, and 80 for the vjp: what the machine code fills without spilling. Blocks of threads with
// one leaf of two are larger, and few.

template <int v, int held, class T>
constexpr int threads_of = held == 1 ? most_threads* most_leaves<v, T> : most_threads;

template <int v, int held, class T>
__global__ void __launch_bounds__(threads_of<v, held, T>, 960 / threads_of<v, held, T>)
    forward_kernel(const __grid_constant__ Norm<T> norm, const T* __restrict__ x, T* __restrict__ y) {
  kernel_begins();
  using S = Share<v, held, T>;
  using C = typename S::C;
  const S s(norm);
  typename S::In in[S::leaves][S::n];
  s.hold(x, in);
  s.fetch_parameters();
  s.normalise(x, in);
  s.has_read();
  s.over_columns([&](int i) {
    Channel<C> k[v];
    for (int e = 0; e < v; ++e) {
      k[e] = s.channels[i * v + e];  // of bf16, what is lost without the mean is far below a number's last bit
      if (sizeof(T) == 2) k[e].beta -= k[e].mean * k[e].scale, k[e].mean = 0;
    }
    s.over_batches([&](int first, int leaf) {
      s.read(x, i, first, in[leaf]);
      T* const to = y + s.element(i, first);
      with(norm.silu, [&](auto silu) {
        s.over_pixels(first, [&](int p, int behind) {
          C out[v];
          for (int e = 0; e < v; ++e) {
            const C u = k[e].u(in[leaf][p][e] - k[e].mean);
            out[e] = silu ? u * sigmoid(u) : u;
          }
          store_word(to + behind, S::In::of(out));
        });
      });
    });
  });
  s.end();
}

/// dx = rstd (du gamma - mean(du gamma) - xhat mean(du gamma xhat)), plus an addend; sums of du and du xhat over each block's pixels
/// go to `by_channel`, if wanted.
template <int v, int held, class T>
__global__ void __launch_bounds__(threads_of<v, held, T> * 6 / 5, 768 / (threads_of<v, held, T> * 6 / 5))
    vjp_kernel(const __grid_constant__ Norm<T> norm, const T* __restrict__ x, const T* __restrict__ g,
               T* __restrict__ dx, Two* by_channel) {
  kernel_begins();
  using S = Share<v, held, T>;
  using C = typename S::C;
  using Wide = typename S::Wide;
  const S s(norm);
  Two* const of_channels =
      by_channel == nullptr ? nullptr : reinterpret_cast<Two*>(dynamic_shared<unsigned char>() + norm.room.by_channel);
  typename S::In in[S::leaves][S::n], back[S::n];
  s.hold(x, in);
  s.fetch(g);
  s.fetch_parameters();
  s.normalise(x, in);
  copies_wait<0>();
  s.find_slopes(x, in, g, back, of_channels);
  s.has_read();
  s.over_columns([&](int i) {
    Channel<C> k[v];
    Pair<C> slope[v];
    for (int e = 0; e < v; ++e) k[e] = s.channels[i * v + e], slope[e] = s.slopes[i * v + e];
    s.over_batches([&](int first, int leaf) {
      s.read(x, i, first, in[leaf]);
      s.read(g, i, first, back);
      T* const to = dx + s.element(i, first);
      const auto write = [&](int, int behind, const Wide& out) { store_word(to + behind, S::In::of(out.v)); };
      const auto over_dx = [&](const auto& put) {
        with(held == 0 && norm.silu, [&](auto silu) {
          s.over_pixels(first, [&](int p, int behind) {
            C out[v];
            Wide du;
            if constexpr (held > 0) du = *s.kept(leaf, p);
            for (int e = 0; e < v; ++e) {
              const C centred = in[leaf][p][e] - k[e].mean,
                      of_u = held > 0 ? du[e] : k[e].du(silu, centred, back[p][e]);
              out[e] = k[e].scale * of_u - slope[e].first - slope[e].second * centred;
            }
            put(p, behind, Wide::of(out));
          });
        });
      };
      if (norm.addend == nullptr) return over_dx(write);
      over_dx([&](int p, int, const Wide& out) { *s.kept(leaf, p) = out; });
      s.load(norm.addend, i, first, in[leaf]);  // a batch in one go, to where x was
      s.over_pixels(first, [&](int p, int behind) {
        Wide out = *s.kept(leaf, p);
        for (int e = 0; e < v; ++e) out.v[e] += in[leaf][p][e];
        write(p, behind, out);
      });
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

/// How many groups a cluster takes, in vectors of v channels: as few as make 64 bytes of a pixel; or 32, a sector of memory, if its
/// threads can keep these and not those.
template <int v, class T>
std::int64_t groups_of_a_cluster(std::int64_t groups, std::int64_t width, std::int64_t pixels) {
  const auto least = [&](std::int64_t bytes) {
    for (std::int64_t taken = 1; taken < groups; ++taken)
      if (groups % taken == 0 && taken * width % v == 0 && taken * width * std::int64_t{sizeof(T)} >= bytes)
        return taken;
    return groups;
  };
  const auto kept = [&](std::int64_t taken) {
    return taken * width / v * pixels <= std::int64_t{most_parts} * most_threads * most_held<v, T>;
  };
  const std::int64_t wide = least(64), narrow = least(32);
  return kept(narrow) && !kept(wide) ? narrow : wide;
}

/// As many lanes as there are leaves, up to what threads keep, and 1024 vectors of v channels a block as long as eight blocks are enough.
template <int v, class T>
Cut cut_of(const GroupNormSpec& spec, const Tensor& x) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3), width = channels / spec.groups,
                     taken = groups_of_a_cluster<v, T>(spec.groups, width, pixels), set = taken * width,
                     across = set / v;
  std::int64_t parts = 1;
  while (has_clusters() && parts < most_parts && across * pixels > parts * 1024) parts *= 2;
  const std::int64_t chunk = (pixels + parts - 1) / parts, most_rows = std::max<std::int64_t>(1, most_threads / across),
                     lanes = std::clamp<std::int64_t>((chunk + leaf_pixels<T> - 1) / leaf_pixels<T>, 1,
                                                      most_rows * most_leaves<v, T>),
                     halvings = std::countr_zero(static_cast<std::uint64_t>(std::gcd(width, v)));
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
          .lanes = n(lanes),
          .halvings = n(halvings),
          .by_parts = Divisor(parts),
          .by_sets = Divisor(channels / set),
          .by_across = Divisor(across),
          .by_width = Divisor(width),
          .by_terms = Divisor(width >> halvings)};
}

/// `du` words of du are kept.
template <int v, class T>
Room room_of(const Cut& cut, int du, bool by_channel) {
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
  take(room.moments, cut.taken, sizeof(Pair<double>));
  take(room.channels, cut.set, sizeof(Channel<C>));
  take(room.slopes, cut.set, sizeof(Pair<C>));
  take(room.du, du, sizeof(Pack<C, v>));
  return room;
}

/// A norm's kernels: threads keep two leaves, one, or none.
template <class T, class... P>
struct Kernels {
  void (*two)(Norm<T>, P...);
  void (*one)(Norm<T>, P...);
  void (*read_again)(Norm<T>, P...);
};

/// Starts the one for how many leaves the threads of a block can keep of its share, with a block a part of each set of each image.
template <int v, class T, class... P, class... A>
void over_parts(const char* op, Norm<T> norm, std::int64_t images, bool backward, bool by_channel,
                const Kernels<T, P...>& kernels, const A&... args) {
  Cut& cut = norm.cut;
  const std::int64_t blocks = images * (cut.channels / cut.set) * cut.parts;
  const auto threads_for = [&](int leaves) {
    return (cut.across * ((cut.lanes + leaves - 1) / leaves) + 31) / 32 * 32;
  };
  const auto go = [&](auto* kernel, int threads) {
    launch_clusters(op, static_cast<unsigned>(cut.parts), dim3(static_cast<unsigned>(blocks)),
                    dim3(static_cast<unsigned>(threads)), norm.room.bytes, kernel, norm, args...);
  };
  // A block that shares its multiprocessor with no other has threads to spare.
  const int leaves = blocks <= processors_here() ? 1 : most_leaves<v, T>;
  const int kept = std::max(threads_for(1), threads_for(most_leaves<v, T>) * most_leaves<v, T>);  // by either
  norm.room = room_of<v, T>(cut, backward ? kept * leaf_pixels<T> : 0, by_channel);
  if (cut.across <= most_threads && cut.chunk <= cut.lanes * leaf_pixels<T> && norm.room.bytes <= most_shared())
    return go(leaves == 2 ? kernels.two : kernels.one, threads_for(leaves));
  cut.lanes = std::min(cut.lanes, std::max(1, most_threads / cut.across));
  const int few = std::min((cut.across * cut.lanes + 31) / 32 * 32, most_threads);
  norm.room = room_of<v, T>(cut, norm.addend == nullptr ? 0 : few * Share<v, 0, T>::n, by_channel);
  go(kernels.read_again, few);
}

/// f(T{}, channels a thread) for the dtype, with as many as fit the last axis of x and where it and the others lie. Eight of bf16
/// would be a word of 16 bytes, and take as many registers more as there are fewer loads and stores.
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

template <int v, class T>
Norm<T> norm_of(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  const auto elements = static_cast<double>(x.size() / x.dim(0) / spec.groups);
  return {.cut = cut_of<v, T>(spec, x),
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
          .weight = 1 / static_cast<double>(x.dim(3)),
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
    if (cpu::is_row_norm(spec, x))
      return over_rows<v>(op, rows_of<T>(spec, x, gamma, beta), row_kernel<v, few_lanes, T>, row_kernel<v, 32, T>, from,
                          to);
    const Kernels<T, const T*, T*> kernels{forward_kernel<v, most_leaves<v, T>, T>, forward_kernel<v, 1, T>,
                                           forward_kernel<v, 0, T>};
    over_parts<v>(op, norm_of<v, T>(spec, x, gamma, beta), x.dim(0), false, false, kernels, from, to);
  };
  with_vectors(op, go, x, gamma, beta, y);
}

void group_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                    const Tensor& g, const Tensor& addend, GroupNormGrads& grads) {
  constexpr const char* op = "group_norm_vjp";
  const bool parameters = grads.gamma.defined() || grads.beta.defined();
  const auto go = [&]<class T, int v>(T, std::integral_constant<int, v>) {
    Norm<T> norm = norm_of<v, T>(spec, x, gamma, beta);
    if (addend.defined()) norm.addend = addend.device_data<T>();
    const bool rows = cpu::is_row_norm(spec, x);
    const std::int64_t parts = x.dim(0) * (rows ? 1 : norm.cut.parts);
    Tensor sums = parameters ? Tensor::empty({parts, x.dim(3), 2}, {DType::f64, Device::cuda}) : Tensor();
    Two* by_channel = parameters ? reinterpret_cast<Two*>(sums.mutable_device_data<double>()) : nullptr;
    const Kernels<T, const T*, const T*, T*, Two*> kernels{vjp_kernel<v, most_leaves<v, T>, T>, vjp_kernel<v, 1, T>,
                                                           vjp_kernel<v, 0, T>};
    const T *from = x.device_data<T>(), *back = g.device_data<T>();
    T* dx = grads.x.mutable_device_data<T>();
    if (rows)
      over_rows<v>(op, rows_of<T>(spec, x, gamma, beta), row_vjp_kernel<v, few_lanes, T>, row_vjp_kernel<v, 32, T>,
                   from, back, norm.addend, dx, by_channel);
    else
      over_parts<v>(op, norm, x.dim(0), true, parameters, kernels, from, back, dx, by_channel);
    if (parameters) add_parts<T>(op, parts, x.dim(3), by_channel, grads);
  };
  with_vectors(op, go, x, gamma, beta, g, addend.defined() ? addend : g, grads.x);
}

}  // namespace costate::cuda
