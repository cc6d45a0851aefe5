// A block's share of a group norm: which pixels and channels it has, where they lie in its shared memory, sums over groups. For
// kernels/group_norm.cu.
//
// Neighbouring groups of one image go to a cluster of up to eight blocks (one on chips without clusters), a stretch of the image's
// pixels to each. A block copies its share to shared memory and so reads it once, where it fits; else once a pass.
#pragma once

#include <algorithm>
#include <type_traits>

#include "gpu/divisor.h"
#include "gpu/elementwise.h"
#include "gpu/ptx.h"
#include "gpu/sigmoid.h"

namespace costate::cuda {

constexpr int most_threads = 512, most_parts = 8;

/// A pair of sums, of x and its square or of du and du xhat.
struct alignas(16) Two {
  double a, b;
  __device__ Two operator+(const Two& o) const { return {a + o.a, b + o.b}; }
};

/// The sums of v numbers of each lane: lanes as a tree. All get them.
template <int v>
__device__ Two sum_of_warp(const Two (&own)[v]) {
  Two sum = own[0];
#pragma unroll
  for (int e = 1; e < v; ++e) sum = sum + own[e];
  for (unsigned lanes = 16; lanes > 0; lanes /= 2)
    sum = sum + Two{__shfl_xor_sync(~0U, sum.a, lanes), __shfl_xor_sync(~0U, sum.b, lanes)};
  return sum;
}

/// Two sums over a thread's pixels, a batch at a time in `Leaf`: conversions to f64 go at an eighth of an addition's rate.
template <class Leaf>
struct Sums {
  Leaf a = 0, b = 0;
  Two all{0, 0};
  __device__ void add(Leaf x, Leaf y, Leaf factor) {
    a += x;
    b += y * factor;
  }
  __device__ void end_batch() {
    all = all + Two{a, b};
    a = b = 0;
  }
};
template <>
struct Sums<double> {
  Two all{0, 0};
  __device__ void add(double x, double y, double factor) { all = {all.a + x, all.b + y * factor}; }
  __device__ void end_batch() {}
};

/// Of a group: mean and 1 / standard deviation, or the means of du scale and of du scale xhat.
template <class C>
struct alignas(2 * sizeof(C)) Pair {
  C first, second;
};

/// How an image is cut, by its shape and the chip alone. A cluster has `taken` groups, which are `set` channels or `across` vectors
/// of a pixel, and each of its `parts` blocks has `chunk` pixels, `lanes` of them at a time.
struct Cut {
  int pixels, channels, width, taken, set, across, parts, chunk, threads, lanes;
  int halvings;  ///< 2^halvings neighbouring channels of a vector are of one group: their sums are added first
  Divisor by_parts, by_sets, by_across, by_width, by_terms;
  [[nodiscard]] __host__ __device__ int terms() const { return width >> halvings; }  ///< of a group's sum, a lane
};

/// Where things begin in a block's shared memory, after the sums of its threads.
struct Room {
  std::size_t totals, moments, channels, slopes, x, du, by_channel, bytes;
};

template <class T>
struct Norm {
  Cut cut;
  Room room;
  double eps, weight;  ///< weight: 1 / elements of a group
  bool silu;
  const T *gamma, *beta;
};

/// What the elements of a channel share: u = xhat gamma + beta, xhat = (x - mean) rstd, scale = rstd gamma.
template <class C>
struct alignas(16) Channel {
  C mean, rstd, scale, beta;
  __device__ C normal(C x) const { return (x - mean) * rstd; }
  __device__ C u(C x) const { return (x - mean) * scale + beta; }
  /// The gradient of u, from that of y.
  __device__ C du(bool silu, C x, C g) const { return silu ? g * silu_slope(u(x)) : g; }
};

/// One block's share: v channels a thread, and whether it is held in shared memory.
template <int v, bool held, class T>
struct Share {
  using C = decltype(widen(T{}));
  using In = Pack<T, v>;
  using Wide = Pack<C, v>;  ///< of du, which is kept as it was computed
  struct Values {
    In x;
    std::conditional_t<held, Wide, In> back;  ///< du, or g once more
  };

  const Norm<T>& norm;
  const Cut& cut;
  const T* __restrict__ from;
  int part, image, first_channel, lane, column, pixels;
  std::int64_t start;  ///< element of the first pixel and channel
  Two *sums, *totals;
  Pair<C>* moments;  ///< of groups
  Channel<C>* channels;
  Pair<C>* slopes;  ///< of channels
  In* x;
  Wide* du;

  __device__ Share(const Norm<T>& n, const T* __restrict__ x_) : norm(n), cut(n.cut), from(x_) {
    const int t = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x),
              cluster = cut.by_parts.quotient(block);
    part = block - cluster * cut.parts;
    image = cut.by_sets.quotient(cluster);
    first_channel = cluster * cut.set - image * cut.channels;
    const int first = part * cut.chunk;
    pixels = std::min(cut.chunk, cut.pixels - first);
    start = (std::int64_t{image} * cut.pixels + first) * cut.channels + first_channel;
    lane = cut.by_across.quotient(t);
    column = lane < cut.lanes ? t - lane * cut.across : cut.across;
    if (cut.lanes == 1) lane = 0, column = t;  // and more columns than one
    auto* const memory = dynamic_shared<unsigned char>();
    sums = reinterpret_cast<Two*>(memory);
    totals = reinterpret_cast<Two*>(memory + n.room.totals);
    moments = reinterpret_cast<Pair<C>*>(memory + n.room.moments);
    channels = reinterpret_cast<Channel<C>*>(memory + n.room.channels);
    slopes = reinterpret_cast<Pair<C>*>(memory + n.room.slopes);
    x = reinterpret_cast<In*>(memory + n.room.x);
    du = reinterpret_cast<Wide*>(memory + n.room.du);
  }

  /// f(column) for this thread's vectors of a pixel.
  template <class F>
  __device__ void over_columns(const F& f) const {
#pragma unroll 1
    for (int i = column; i < cut.across; i += static_cast<int>(blockDim.x)) f(i);
  }
  /// use(load(place, element), place, element) for this thread's pixels of a column: place in shared memory, element of the image.
  /// A batch of them is loaded before the first is used, and end() called behind it.
  template <int batch, class Load, class Use, class End>
  __device__ void over_pixels(int i, const Load& load, const Use& use, const End& end) const {
    const auto place = [&](int p) { return p * cut.across + i; };
    const auto element = [&](int p) { return start + (p * cut.channels + i * v); };
    int p = lane;
    for (; p + (batch - 1) * cut.lanes < pixels; p += batch * cut.lanes) {
      decltype(load(0, start)) got[batch];
#pragma unroll
      for (int k = 0; k < batch; ++k) got[k] = load(place(p + k * cut.lanes), element(p + k * cut.lanes));
#pragma unroll
      for (int k = 0; k < batch; ++k) use(got[k], place(p + k * cut.lanes), element(p + k * cut.lanes));
      end();
    }
#pragma unroll 1
    for (; p < pixels; p += cut.lanes) {
      use(load(place(p), element(p)), place(p), element(p));
      end();
    }
  }
  template <int batch, class Load, class Use>
  __device__ void over_pixels(int i, const Load& load, const Use& use) const {
    over_pixels<batch>(i, load, use, [] {});
  }

  /// Begins to copy what this thread will read of x or g. A slot of du is first the one of g.
  template <class Slot>
  __device__ void fetch(const T* __restrict__ values, Slot* slots) const {
    if constexpr (held)
      over_columns([&](int i) {
        over_pixels<4>(
            i, [&](int, std::int64_t at) { return reinterpret_cast<const In*>(values + at); },
            [&](const In* word, int place, std::int64_t) { copy_word(reinterpret_cast<In*>(slots + place), word); });
      });
    copies_end_group();
  }
  /// gamma and beta to where the channels will be.
  __device__ void fetch_parameters() const {
#pragma unroll 1
    for (int c = static_cast<int>(threadIdx.x); c < cut.set; c += static_cast<int>(blockDim.x)) {
      channels[c].scale = widen(norm.gamma[first_channel + c]);
      channels[c].beta = widen(norm.beta[first_channel + c]);
    }
  }
  __device__ In x_at(int place, std::int64_t at) const {
    return held ? x[place] : *reinterpret_cast<const In*>(from + at);
  }
  __device__ In g_at(const T* __restrict__ g, int place, std::int64_t at) const {
    return *(held ? reinterpret_cast<const In*>(du + place) : reinterpret_cast<const In*>(g + at));
  }
  __device__ Values values_at(const T* __restrict__ g, int place, std::int64_t at) const {
    if constexpr (held)
      return {x[place], du[place]};
    else
      return {x_at(place, at), g_at(g, place, at)};
  }

  /// Leaves this thread's sums of v channels for add_up.
  __device__ void leave(int i, Two (&sum)[v]) const {
    Two* const to = sums + ((lane * cut.set + i * v) >> cut.halvings);
#pragma unroll
    for (int level = 0; 1 << level < v; ++level) {
      const int half = 1 << level;
#pragma unroll
      for (int e = 0; e + half < v; e += 2 * half)
        if (level < cut.halvings) sum[e] = sum[e] + sum[e + half];
    }
#pragma unroll
    for (int e = 0; e < v; ++e)
      if ((e & ((1 << cut.halvings) - 1)) == 0) to[e >> cut.halvings] = sum[e];
  }
  /// The groups' sums over the block, a warp a group, for every block of the cluster to read.
  __device__ void add_up(Two* total) const {
    const int t = static_cast<int>(threadIdx.x), warps = static_cast<int>(blockDim.x) / 32, terms = cut.terms();
    __syncthreads();
    for (int g = t / 32; g < cut.taken; g += warps) {
      Two sum[1] = {};
#pragma unroll 4
      for (int i = t % 32; i < cut.lanes * terms; i += 32) {
        const int l = cut.by_terms.quotient(i);
        sum[0] = sum[0] + sums[(l * cut.taken + g) * terms + (i - l * terms)];
      }
      const Two of_group = sum_of_warp(sum);
      if (t % 32 == 0) total[g] = of_group;
    }
    if (cut.parts == 1) return __syncthreads();
    cluster_arrive();
    cluster_wait();
  }
  /// What follows from the groups' sums over the cluster: a pair of numbers make(group, sums) of each group, and spread(channel, pair)
  /// for each channel with its group's.
  template <class Make, class Spread>
  __device__ void finish(const Two* total, const Make& make, const Spread& spread) const {
    const int t = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
#pragma unroll 1
    for (int g = t; g < cut.taken; g += threads) {
      Two each[most_parts];
#pragma unroll
      for (int p = 0; p < most_parts; ++p)
        each[p] = p < cut.parts ? *of_block(total + g, static_cast<unsigned>(p)) : Two{0, 0};
#pragma unroll
      for (int p = 1; p < most_parts; ++p) each[0] = each[0] + each[p];
      moments[g] = make(g, each[0]);
    }
    __syncthreads();
#pragma unroll 1
    for (int c = t; c < cut.set; c += threads) spread(c, moments[cut.by_width.quotient(c)]);
    __syncthreads();
  }

  /// Puts what normalises them into the channels. Squares of bf16 and f32 are exact in f32 and f64, and their sum says enough; those
  /// of f64 are taken about the group's first element.
  __device__ void normalise() const {
    using Leaf = std::conditional_t<sizeof(T) == 2, float, double>;
    const auto shift = [&](int group) {
      return sizeof(T) == 8
                 ? widen(from[std::int64_t{image} * cut.pixels * cut.channels + first_channel + group * cut.width])
                 : 0.0;
    };
    over_columns([&](int i) {
      Sums<Leaf> sum[v];
      double off[v];
      for (int e = 0; e < v; ++e) off[e] = shift(cut.by_width.quotient(i * v + e));
      over_pixels<4>(
          i, [&](int place, std::int64_t at) { return x_at(place, at); },
          [&](const In& in, int, std::int64_t) {
            for (int e = 0; e < v; ++e) {
              const Leaf d = sizeof(T) == 8 ? static_cast<Leaf>(in[e] - off[e]) : static_cast<Leaf>(in[e]);
              sum[e].add(d, d, d);
            }
          },
          [&] {
            for (auto& s : sum) s.end_batch();
          });
      Two all[v];
      for (int e = 0; e < v; ++e) all[e] = sum[e].all;
      leave(i, all);
    });
    add_up(totals);
    finish(
        totals,
        [&](int g, const Two& sum) {
          const double off = sum.a * norm.weight, variance = sum.b * norm.weight - off * off;
          return Pair<C>{static_cast<C>(shift(g) + off),
                         static_cast<C>(rsqrt((variance > 0 || variance != variance ? variance : 0) + norm.eps))};
        },
        [&](int c, const Pair<C>& m) {
          channels[c] = {m.first, m.second, m.second * channels[c].scale, channels[c].beta};
        });
  }

  /// Puts into `slopes` what dx = scale du - first - second (x - mean) takes; leaves du, and each thread's sums for add_channels.
  __device__ void find_slopes(const T* __restrict__ g, Two* of_channels) const {
    over_columns([&](int i) {
      Channel<C> k[v];
      Sums<C> sum[v];
      for (int e = 0; e < v; ++e) k[e] = channels[i * v + e];
      struct Read {
        In x, g;
      };
      over_pixels<sizeof(T) == 2 ? 4 : 2>(
          i,
          [&](int place, std::int64_t at) {
            return Read{x_at(place, at), g_at(g, place, at)};
          },
          [&](const Read& in, int place, std::int64_t) {
            C both[v];
            for (int e = 0; e < v; ++e) {
              both[e] = k[e].du(norm.silu, in.x[e], in.g[e]);
              sum[e].add(both[e], both[e], k[e].normal(in.x[e]));
            }
            if constexpr (held) du[place] = Wide::of(both);
          },
          [&] {
            for (auto& s : sum) s.end_batch();
          });
      Two all[v];
      for (int e = 0; e < v; ++e) {
        if (of_channels != nullptr) of_channels[lane * cut.set + i * v + e] = sum[e].all;
        const double scale = k[e].scale;
        all[e] = {scale * sum[e].all.a, scale * sum[e].all.b};
      }
      leave(i, all);
    });
    add_up(totals + cut.taken);
    finish(
        totals + cut.taken,
        [&](int, const Two& sum) {
          return Pair<C>{static_cast<C>(sum.a * norm.weight), static_cast<C>(sum.b * norm.weight)};
        },
        [&](int c, const Pair<C>& m) {
          slopes[c] = {m.first, m.second * channels[c].rstd};
        });
  }
  /// What find_slopes has left of each channel, added up, to (part of an image, channel).
  __device__ void add_channels(const Two* of_channels, Two* by_channel) const {
    for (int c = static_cast<int>(threadIdx.x); c < cut.set; c += static_cast<int>(blockDim.x)) {
      Two sum{0, 0};
#pragma unroll 4
      for (int l = 0; l < cut.lanes; ++l) sum = sum + of_channels[l * cut.set + c];
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
