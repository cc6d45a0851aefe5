// A block's share of a group norm: which pixels and channels it has, where they lie in its shared memory, sums over groups. For
// kernels/group_norm.cu.
//
// Neighbouring groups of one image go to a cluster of up to eight blocks (one on chips without clusters), a stretch of the image's
// pixels to each. A thread keeps its share of x in registers, and of g in shared memory, and so reads it once, where it fits; else
// once a pass. Sums begin with leaves, some pixels of a vector's channels in f32: where a cluster has several multiprocessors' threads to
// itself each has one leaf, in a batch two, and no bit depends on that.
#pragma once

#include <algorithm>
#include <type_traits>

#include "gpu/divisor.h"
#include "gpu/elementwise.h"
#include "gpu/ptx.h"
#include "gpu/sigmoid.h"

namespace costate::cuda {

constexpr int most_threads = 320, most_parts = 8;

/// A pair of sums, of x and its square or of du and du xhat.
struct alignas(16) Two {
  double a, b;
  __device__ Two operator+(const Two& o) const { return {a + o.a, b + o.b}; }
};

/// The sums of `lanes` neighbouring threads of a warp, as a tree. All get them.
__device__ inline Two sum_of_lanes(int lanes, Two sum) {
#pragma unroll 1
  for (int half = lanes / 2; half > 0; half /= 2)
    sum = sum + Two{__shfl_xor_sync(~0U, sum.a, half), __shfl_xor_sync(~0U, sum.b, half)};
  return sum;
}

/// Of a group: mean and 1 / standard deviation, or the means of du scale and of du scale xhat.
template <class C>
struct alignas(2 * sizeof(C)) Pair {
  C first, second;
};

/// How an image is cut, by its shape and the chip alone. A cluster has `taken` groups, which are `set` channels or `across` vectors
/// of a pixel, and each of its `parts` blocks has `chunk` pixels, which are so many `lanes` of leaves: every lanes-th pixel from one on.
struct Cut {
  int pixels, channels, width, taken, set, across, parts, chunk, lanes;
  int halvings;  ///< 2^halvings neighbouring channels of a vector are of one group: their sums are added first
  Divisor by_parts, by_sets, by_across, by_width, by_terms;
  [[nodiscard]] __host__ __device__ int terms() const { return width >> halvings; }  ///< of a group's sum, a lane
};

/// Where things begin in a block's shared memory, after the sums of its threads.
struct Room {
  std::size_t totals, moments, channels, slopes, by_channel, du, bytes;
};

template <class T>
struct Norm {
  Cut cut;
  Room room;
  double eps, weight;  ///< weight: 1 / elements of a group
  bool silu;
  const T *gamma, *beta;
  const T* addend = nullptr;  ///< to dx, laid out as that; null: none
};

/// What the elements of a channel share: u = xhat gamma + beta, xhat = (x - mean) rstd, scale = rstd gamma.
template <class C>
struct alignas(16) Channel {
  C mean, rstd, scale, beta;
  __device__ C u(C centred) const { return centred * scale + beta; }
  /// The gradient of u, from that of y.
  __device__ C du(bool silu, C centred, C g) const { return silu ? g * silu_slope(u(centred)) : g; }
};

/// f(std::true_type) or f(std::false_type): a branch around a loop, and none in it.
template <class F>
__device__ void with(bool known, const F& f) {
  known ? f(std::true_type{}) : f(std::false_type{});
}

/// Pixels of a leaf: 128 bytes of them, 64 of f64 and bf16, or eight single numbers.
template <class T>
constexpr int leaf_pixels = sizeof(T) == 8 ? 4 : 8;
/// Leaves that a thread may keep.
template <int v, class T>
constexpr int most_leaves = sizeof(T) == 2 && v == 4 ? 2 : 1;
template <int v, class T>
constexpr int most_held = leaf_pixels<T>* most_leaves<v, T>;

/// One block's share: v channels of leaves of n pixels. A thread keeps up to `held` leaves, which are all that it has; or if that is 0 it has
/// one lane, and reads its pixels n at a time, half as many as could be kept.
template <int v, int held, class T>
struct Share {
  static constexpr int leaves = held > 0 ? held : 1, n = held > 0 ? leaf_pixels<T> : most_held<v, T> / 2;
  using C = decltype(widen(T{}));
  using In = Pack<T, v>;
  using Wide = Pack<C, v>;  ///< of du, which is kept as it was computed

  const Norm<T>& norm;
  const Cut& cut;
  int part, image, first_channel, lane, column, pixels;  ///< lane: of the thread's first leaf
  std::int64_t start;                                    ///< element of the first pixel and channel
  Two *sums, *totals;
  Pair<double>* moments;  ///< of groups
  Channel<C>* channels;
  Pair<C>* slopes;  ///< of channels
  Wide* du;         ///< of this thread's pixels; then dx, where an addend comes to it

  __device__ explicit Share(const Norm<T>& norm_) : norm(norm_), cut(norm_.cut) {
    const int t = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x),
              cluster = cut.by_parts.quotient(block);
    part = block - cluster * cut.parts;
    image = cut.by_sets.quotient(cluster);
    first_channel = cluster * cut.set - image * cut.channels;
    const int first = part * cut.chunk;
    pixels = std::min(cut.chunk, cut.pixels - first);
    start = (std::int64_t{image} * cut.pixels + first) * cut.channels + first_channel;
    lane = cut.by_across.quotient(t);
    column = lane < rows() ? t - lane * cut.across : cut.across;
    if (rows() == 1) lane = 0, column = t;  // and more columns than one
    auto* const memory = dynamic_shared<unsigned char>();
    sums = reinterpret_cast<Two*>(memory);
    totals = reinterpret_cast<Two*>(memory + norm.room.totals);
    moments = reinterpret_cast<Pair<double>*>(memory + norm.room.moments);
    channels = reinterpret_cast<Channel<C>*>(memory + norm.room.channels);
    slopes = reinterpret_cast<Pair<C>*>(memory + norm.room.slopes);
    du = reinterpret_cast<Wide*>(memory + norm.room.du) + (t / 32 * 32 * leaves * n + t % 32);
  }

  /// Threads of a column.
  [[nodiscard]] __device__ int rows() const { return (cut.lanes + leaves - 1) / leaves; }
  /// f(column) for this thread's vectors of a pixel.
  template <class F>
  __device__ void over_columns(const F& f) const {
    if constexpr (held > 0) {
      if (column < cut.across) f(column);
    } else {
#pragma unroll 1
      for (int i = column; i < cut.across; i += static_cast<int>(blockDim.x)) f(i);
    }
  }
  /// f(first pixel, leaf) for each batch of n pixels of this thread, which are `lanes` apart. The first of them is there.
  template <class F>
  __device__ void over_batches(const F& f) const {
    if constexpr (held > 0) {
#pragma unroll
      for (int leaf = 0; leaf < leaves; ++leaf)
        if (const int first = lane + leaf * rows(); first < (leaves > 1 ? lanes_with_pixels() : pixels)) f(first, leaf);
    } else {
#pragma unroll 1
      for (int p = lane; p < pixels; p += n * cut.lanes) f(p, 0);
    }
  }
  /// Of the first of a batch's pixels.
  [[nodiscard]] __device__ std::int64_t element(int i, int first) const {
    return start + (std::int64_t{first} * cut.channels + i * v);
  }
  /// f(k, elements behind the first) for those of a batch's pixels that are there: if all are, without asking each.
  template <class F>
  __device__ void over_pixels(int first, const F& f) const {
    const int step = cut.lanes * cut.channels;
    if (first + (n - 1) * cut.lanes < pixels) {
#pragma unroll
      for (int k = 0; k < n; ++k) f(k, k * step);
    } else {
#pragma unroll
      for (int k = 0; k < n; ++k)
        if (first + k * cut.lanes < pixels) f(k, k * step);
    }
  }
  __device__ void load(const T* __restrict__ values, int i, int first, In (&to)[n]) const {
    const T* const from = values + element(i, first);
    over_pixels(first, [&](int k, int behind) { to[k] = load_word<In>(from + behind); });
  }
  /// What this thread keeps of x.
  __device__ void hold(const T* __restrict__ x, In (&to)[leaves][n]) const {
    if constexpr (held > 0)
      over_columns([&](int i) { over_batches([&](int first, int leaf) { load(x, i, first, to[leaf]); }); });
  }
  /// Begins to copy what it will read of g to where du will be.
  __device__ void fetch(const T* __restrict__ g) const {
    if constexpr (held > 0)
      over_columns([&](int i) {
        over_batches([&](int first, int leaf) {
          const T* const from = g + element(i, first);
          over_pixels(first, [&](int k, int behind) {
            copy_word(reinterpret_cast<In*>(kept(leaf, k)), reinterpret_cast<const In*>(from + behind));
          });
        });
      });
    copies_end_group();
  }
  [[nodiscard]] __device__ Wide* kept(int leaf, int k) const { return du + (leaf * n + k) * 32; }
  /// A batch of what is not kept.
  __device__ void read(const T* __restrict__ values, int i, int first, In (&to)[n]) const {
    if constexpr (held == 0) load(values, i, first, to);
  }
  /// gamma and beta to where the channels will be.
  __device__ void fetch_parameters() const {
#pragma unroll 1
    for (int c = static_cast<int>(threadIdx.x); c < cut.set; c += static_cast<int>(blockDim.x)) {
      channels[c].scale = widen(norm.gamma[first_channel + c]);
      channels[c].beta = widen(norm.beta[first_channel + c]);
    }
  }

  /// join(e, other) for channels of a vector that are of one group, as a tree: all come to the first of them.
  template <class F>
  __device__ void neighbours(const F& join) const {
#pragma unroll
    for (int half = 1; half < v; half *= 2) {
      if (half >> cut.halvings != 0) break;
#pragma unroll
      for (int e = 0; e + half < v; e += 2 * half) join(e, e + half);
    }
  }
  [[nodiscard]] __device__ bool begins_group(int e) const { return (e & ((1 << cut.halvings) - 1)) == 0; }
  /// f(e) for the first channel of each group in a vector.
  template <class F>
  __device__ void firsts(const F& f) const {
#pragma unroll
    for (int e = 0; e < v; ++e)
      if (begins_group(e)) f(e);
  }
  /// Adds a batch's sums to what add_up, or add_channels, will find of its lane: the `slot`-th.
  __device__ void leave(Two* sums, int slot, int first, const Two& sum) const {
    Two& all = sums[slot];
    all = held > 0 || first == lane ? sum : all + sum;
  }
  [[nodiscard]] __device__ int lane_of(int first) const { return held > 0 ? first : lane; }
  [[nodiscard]] __device__ int slot(int first, int channel) const {
    return (lane_of(first) * cut.set + channel) >> cut.halvings;
  }
  [[nodiscard]] __device__ int lanes_with_pixels() const { return std::min(cut.lanes, pixels); }
  /// f(group, which of them) for `lanes` threads of a warp a group: of those that are there, and of all of a warp or none.
  template <class F>
  __device__ void over_groups(int lanes, const F& f) const {
    const int t = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
#pragma unroll 1
    for (int first = t / 32 * 32 / lanes; first < cut.taken; first += threads / lanes)
      f(first + t % 32 / lanes, t % lanes);
  }
  /// The groups' sums over the block, for every block of the cluster to read.
  __device__ void add_up(Two* total) const {
    const int terms = cut.terms(), all = lanes_with_pixels() * terms, adders = all > 64 ? 32 : 8;
    __syncthreads();
    over_groups(adders, [&](int g, int own) {
      Two sum{0, 0};
      if (g < cut.taken) {
#pragma unroll 4
        for (int i = own; i < all; i += adders) {
          const int l = cut.by_terms.quotient(i);
          sum = sum + sums[(l * cut.taken + g) * terms + (i - l * terms)];
        }
      }
      sum = sum_of_lanes(adders, sum);
      if (g < cut.taken && own == 0) total[g] = sum;
    });
    if (cut.parts == 1) return __syncthreads();
    cluster_arrive();
    cluster_wait();
  }
  /// What follows from the groups' sums over the cluster: a pair of numbers make(group, sums) of each group, and spread(channel, pair)
  /// for each channel with its group's.
  template <class Make, class Spread>
  __device__ void finish(const Two* total, const Make& make, const Spread& spread) const {
    over_groups(most_parts, [&](int g, int p) {
      Two sum{0, 0};
      if (g < cut.taken && p < cut.parts) sum = *of_block(total + g, static_cast<unsigned>(p));
      sum = sum_of_lanes(most_parts, sum);
      if (g < cut.taken && p == 0) moments[g] = make(g, sum);
    });
    __syncthreads();
#pragma unroll 1
    for (int c = static_cast<int>(threadIdx.x); c < cut.set; c += static_cast<int>(blockDim.x))
      spread(c, moments[cut.by_width.quotient(c)]);
    __syncthreads();
  }

  /// Puts what normalises them into the channels. A batch is summed about its first number, in C: if that is far from its mean, so
  /// must others be, and what is lost is little beside the squares of all. The rest is f64; that of f64 about the group's first.
  __device__ void normalise(const T* __restrict__ x, In (&in)[leaves][n]) const {
    const auto shift = [&](int group) {
      return sizeof(T) == 8
                 ? widen(x[std::int64_t{image} * cut.pixels * cut.channels + first_channel + group * cut.width])
                 : 0.0;
    };
    over_columns([&](int i) {
      over_batches([&](int first, int leaf) {
        In(&of)[n] = in[leaf];
        read(x, i, first, of);
        C origin[v], sum[v] = {}, squares[v] = {};
        for (int e = 0; e < v; ++e) origin[e] = begins_group(e) ? of[0][e] : origin[e - 1];
        int count = 0;
        over_pixels(first, [&](int k, int) {
          for (int e = 0; e < v; ++e) {
            const C d = of[k][e] - origin[e];
            sum[e] += d;
            squares[e] += d * d;
          }
          ++count;
        });
        neighbours([&](int e, int other) { sum[e] += sum[other], squares[e] += squares[other]; });
        firsts([&](int e) {
          const double at = origin[e] - shift(cut.by_width.quotient(i * v + e)), s = sum[e],
                       whole = (count << cut.halvings) * at;
          leave(sums, slot(first, i * v + e), first, {whole + s, at * (whole + 2 * s) + squares[e]});
        });
      });
    });
    add_up(totals);
    finish(
        totals,
        [&](int g, const Two& sum) {
          const double off = sum.a * norm.weight, variance = sum.b * norm.weight - off * off;
          return Pair<double>{shift(g) + off, rsqrt((variance > 0 || variance != variance ? variance : 0) + norm.eps)};
        },
        [&](int c, const Pair<double>& m) {
          const C mean = static_cast<C>(m.first), rstd = static_cast<C>(m.second), scale = rstd * channels[c].scale;
          channels[c] = {mean, rstd, scale, channels[c].beta + static_cast<C>(mean - m.first) * scale};
        });
  }

  /// Puts into `slopes` what dx = scale du - first - second (x - mean) takes; leaves du, and each thread's sums for add_channels.
  __device__ void find_slopes(const T* __restrict__ x, In (&in)[leaves][n], const T* __restrict__ g, In (&back)[n],
                              Two* of_channels) const {
    over_columns([&](int i) {
      Channel<C> k[v];
      for (int e = 0; e < v; ++e) k[e] = channels[i * v + e];
      over_batches([&](int first, int leaf) {
        In(&of)[n] = in[leaf];
        read(x, i, first, of);
        read(g, i, first, back);
        C sum[v] = {}, sum_x[v] = {};
        with(norm.silu, [&](auto silu) {
          over_pixels(first, [&](int p, int) {
            const In gradient = held > 0 ? *reinterpret_cast<In*>(kept(leaf, p)) : back[p];
            C of_u[v];
            for (int e = 0; e < v; ++e) {
              const C centred = of[p][e] - k[e].mean;
              of_u[e] = k[e].du(silu, centred, gradient[e]);
              sum[e] += of_u[e];
              sum_x[e] += of_u[e] * centred;
            }
            if constexpr (held > 0) *kept(leaf, p) = Wide::of(of_u);
          });
        });
        if (of_channels != nullptr)
          for (int e = 0; e < v; ++e)
            leave(of_channels, lane_of(first) * cut.set + i * v + e, first, {sum[e], k[e].rstd * sum_x[e]});
        for (int e = 0; e < v; ++e) sum[e] *= k[e].scale, sum_x[e] *= k[e].scale * k[e].rstd;
        neighbours([&](int e, int other) { sum[e] += sum[other], sum_x[e] += sum_x[other]; });
        firsts([&](int e) { leave(sums, slot(first, i * v + e), first, {sum[e], sum_x[e]}); });
      });
    });
    add_up(totals + cut.taken);
    finish(
        totals + cut.taken,
        [&](int, const Two& sum) {
          return Pair<double>{sum.a * norm.weight, sum.b * norm.weight};
        },
        [&](int c, const Pair<double>& m) {
          slopes[c] = {static_cast<C>(m.first), static_cast<C>(m.second) * channels[c].rstd};
        });
  }
  /// What find_slopes has left of each channel, added up, to (part of an image, channel).
  __device__ void add_channels(const Two* of_channels, Two* by_channel) const {
    for (int c = static_cast<int>(threadIdx.x); c < cut.set; c += static_cast<int>(blockDim.x)) {
      Two sum{0, 0};
#pragma unroll 4
      for (int l = 0; l < lanes_with_pixels(); ++l) sum = sum + of_channels[l * cut.set + c];
      by_channel[(std::int64_t{image} * cut.parts + part) * cut.channels + first_channel + c] = sum;
    }
  }

  /// Once this block has read what others have, and at its end: none may end while another reads its sums.
  __device__ void has_read() const {
    if (cut.parts > 1) cluster_arrive_without_news();
  }
  __device__ void end() const {
    if (cut.parts > 1) cluster_wait();
  }
};

}  // namespace costate::cuda
