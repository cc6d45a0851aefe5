// Group norm (+ SiLU) on the CPU. An image is cut into bands of pixels by its size alone; every band sums its channels in f64,
// and the bands are added in order, so the bits depend on the image only.
#include "core/kernels/group_norm.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/kernels/copy.h"
#include "core/kernels/pointwise.h"
#include "core/kernels/row_norm.h"
#include "core/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/group_norm.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

#ifndef COSTATE_GROUP_NORM_ONCE
#define COSTATE_GROUP_NORM_ONCE
namespace costate::group_norm_detail {

/// What one image needs per channel: u = (x - mean) * scale + beta, with scale = gamma * rstd.
template <class T>
struct Channels {
  const T *mean, *rstd, *scale, *beta;
};

/// A band of pixels of one image, as they are stored: f32, f64, or bf16, of which T is f32.
template <class S>
struct Band {
  const S* x;
  std::size_t pixels, channels;
};

/// The loops of one instruction set.
template <class T, class S>
struct GroupNormLoops {
  void (*sums)(const Band<S>&, const double* shift, double* sum, double* squares);
  void (*forward)(const Band<S>&, const Channels<T>&, bool silu, S* y);
  void (*backward)(const Band<S>&, const Channels<T>&, bool silu, const S* g, T* du, double* sum, double* sum_xhat);
  void (*dx)(const Band<S>&, const Channels<T>&, const T* a, const T* b_xhat, const T* du, const S* addend, S* dx);
};

}  // namespace costate::group_norm_detail
#endif

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

using namespace group_norm_detail;  // NOLINT(google-build-using-namespace)

/// sum[c] and squares[c] of x - shift[c] over the pixels, for `vectors` vectors of channels: a cache line is read once.
template <std::size_t vectors, class T>
void channel_sums(const T* x, std::size_t pixels, std::size_t step, const double* shift, double* sum, double* squares,
                  std::size_t count) {
  const hn::ScalableTag<double> d;
  const std::size_t lanes = hn::Lanes(d);
  hn::Vec<decltype(d)> s[vectors], q[vectors], m[vectors];
  for (std::size_t k = 0; k < vectors; ++k) {
    s[k] = q[k] = hn::Zero(d);
    m[k] = shift == nullptr ? hn::Zero(d) : load_some(d, shift + k * lanes, count - k * lanes);
  }
  for (std::size_t i = 0; i < pixels; ++i, x += step)
    for (std::size_t k = 0; k < vectors; ++k) {
      const auto v = hn::Sub(vectors > 1 ? load_f64(d, x + k * lanes) : load_f64(d, x, count), m[k]);
      s[k] = hn::Add(s[k], v);
      q[k] = hn::MulAdd(v, v, q[k]);
    }
  for (std::size_t k = 0; k < vectors; ++k) {
    store_some(s[k], d, sum + k * lanes, count - k * lanes);
    store_some(q[k], d, squares + k * lanes, count - k * lanes);
  }
}

template <class T>
void band_sums(const Band<T>& b, const double* shift, double* sum, double* squares) {
  const std::size_t lanes = hn::Lanes(hn::ScalableTag<double>());
  for (std::size_t c = 0; c < b.channels;) {
    const std::size_t left = b.channels - c;
    const bool four = left >= 4 * lanes;
    (four ? channel_sums<4, T> : channel_sums<1, T>)(b.x + c, b.pixels, b.channels,
                                                     shift == nullptr ? nullptr : shift + c, sum + c, squares + c,
                                                     left);
    c += four ? 4 * lanes : lanes;
  }
}

template <class T, class S>
void band_forward(const Band<S>& b, const Channels<T>& k, bool with_silu, S* y) {
  const hn::ScalableTag<T> d;
  for (std::size_t i = 0; i < b.pixels; ++i) {
    const S* p = b.x + i * b.channels;
    S* out = y + i * b.channels;
    for (std::size_t c = 0; c < b.channels; c += hn::Lanes(d)) {
      const std::size_t n = b.channels - c;
      const auto centred = hn::Sub(load_as(d, p + c, n), load_some(d, k.mean + c, n));
      const auto u = hn::MulAdd(centred, load_some(d, k.scale + c, n), load_some(d, k.beta + c, n));
      store_as(with_silu ? silu(d, u) : u, d, out + c, n);
    }
  }
}

template <class D>
HWY_INLINE void add_lanes(D d, hn::Vec<D> v, double* sums) {
  HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  for (std::size_t l = 0; l < hn::Lanes(d); ++l) sums[l] += static_cast<double>(lanes[l]);
}

/// du = g, or g times the slope of silu at u; written to `du`, with sums of du and of du * xhat for `vectors` vectors of channels:
/// of a few pixels as T, of those as f64. From x to the slope is one long chain of operations, and few such chains fit what a core
/// looks ahead: so a few pixels go the first half of it, then they go the second.
template <std::size_t vectors, class T, class S>
void channels_backward(const Band<S>& b, const Channels<T>& k, std::size_t c, bool with_silu, const S* g, T* du,
                       double* sum, double* sum_xhat) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr std::size_t few = 16 / vectors;
  const std::size_t lanes = hn::Lanes(d), n = b.channels - c;
  const auto load = [&](const auto* p) { return vectors > 1 ? load_as(d, p) : load_as(d, p, n); };
  V mean[vectors], scale[vectors], beta[vectors];
  for (std::size_t v = 0; v < vectors; ++v) {
    mean[v] = load(k.mean + c + v * lanes);
    scale[v] = load(k.scale + c + v * lanes);
    beta[v] = load(k.beta + c + v * lanes);
  }
  double s[vectors * hn::MaxLanes(d)] = {}, x[vectors * hn::MaxLanes(d)] = {};
  HWY_ALIGN T centred[16 * hn::MaxLanes(d)], e[16 * hn::MaxLanes(d)];
  for (std::size_t first = 0; first < b.pixels; first += few) {
    const std::size_t pixels = HWY_MIN(few, b.pixels - first);
    const std::size_t start = first * b.channels + c;
    for (std::size_t i = 0; i < pixels; ++i)
      for (std::size_t v = 0; v < vectors; ++v) {
        const auto t = hn::Sub(load(b.x + start + i * b.channels + v * lanes), mean[v]);
        hn::Store(t, d, centred + (i * vectors + v) * lanes);
        if (with_silu)
          hn::Store(one_and_exp_of_minus(d, hn::MulAdd(t, scale[v], beta[v])), d, e + (i * vectors + v) * lanes);
      }
    V part[vectors], part_x[vectors];
    for (std::size_t v = 0; v < vectors; ++v) part[v] = part_x[v] = hn::Zero(d);
    for (std::size_t i = 0; i < pixels; ++i)
      for (std::size_t v = 0; v < vectors; ++v) {
        const std::size_t at = start + i * b.channels + v * lanes;
        const auto here = hn::Load(d, centred + (i * vectors + v) * lanes);
        auto t = load(g + at);
        if (with_silu)
          t = hn::Mul(t,
                      silu_slope(d, hn::MulAdd(here, scale[v], beta[v]), hn::Load(d, e + (i * vectors + v) * lanes)));
        if constexpr (vectors > 1)
          hn::StoreU(t, d, du + at);
        else
          store_some(t, d, du + at, n);
        part[v] = hn::Add(part[v], t);
        part_x[v] = hn::MulAdd(t, here, part_x[v]);
      }
    for (std::size_t v = 0; v < vectors; ++v) {
      add_lanes(d, part[v], s + v * lanes);
      add_lanes(d, part_x[v], x + v * lanes);
    }
  }
  for (std::size_t l = 0; l < HWY_MIN(vectors * lanes, n); ++l) {
    sum[c + l] = s[l];
    sum_xhat[c + l] = x[l] * static_cast<double>(k.rstd[c + l]);
  }
}

template <class T, class S>
void band_backward(const Band<S>& b, const Channels<T>& k, bool silu, const S* g, T* du, double* sum,
                   double* sum_xhat) {
  const std::size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  for (std::size_t c = 0; c < b.channels;) {
    const bool two = b.channels - c >= 2 * lanes;
    (two ? channels_backward<2, T, S> : channels_backward<1, T, S>)(b, k, c, silu, g, du, sum, sum_xhat);
    c += two ? 2 * lanes : lanes;
  }
}

/// dx = scale du - a - b xhat + addend (null: none), which may be in place over du; a and b hold rstd / m times the group's sums.
template <class T, class S>
void band_dx(const Band<S>& b, const Channels<T>& k, const T* a, const T* bx, const T* du, const S* addend, S* dx) {
  const hn::ScalableTag<T> d;
  for (std::size_t i = 0; i < b.pixels; ++i)
    for (std::size_t c = 0; c < b.channels; c += hn::Lanes(d)) {
      const std::size_t n = b.channels - c, at = i * b.channels + c;
      const auto xhat =
          hn::Mul(hn::Sub(load_as(d, b.x + at, n), load_some(d, k.mean + c, n)), load_some(d, k.rstd + c, n));
      const auto direct = hn::MulSub(load_some(d, du + at, n), load_some(d, k.scale + c, n), load_some(d, a + c, n));
      const auto whole = hn::NegMulAdd(xhat, load_some(d, bx + c, n), direct);
      store_as(addend != nullptr ? hn::Add(whole, load_as(d, addend + at, n)) : whole, d, dx + at, n);
    }
}

template <class T, class S>
GroupNormLoops<T, S> group_norm_loops() {
  return {band_sums<S>, band_forward<T, S>, band_backward<T, S>, band_dx<T, S>};
}
GroupNormLoops<float, float> group_norm_f32() { return group_norm_loops<float, float>(); }
GroupNormLoops<double, double> group_norm_f64() { return group_norm_loops<double, double>(); }
GroupNormLoops<float, bf16> group_norm_bf16() { return group_norm_loops<float, bf16>(); }

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(group_norm_f32);
HWY_EXPORT(group_norm_f64);
HWY_EXPORT(group_norm_bf16);

namespace {

using namespace group_norm_detail;  // NOLINT(google-build-using-namespace)

/// One call's view of x: images, pixels, channels, and the cut into bands. Computed in T, stored as S.
template <class T, class S>
class Norm {
 public:
  Norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta)
      : spec_(spec),
        x_(x.data<S>()),
        gamma_(gamma.data<T>()),
        beta_(beta.data<T>()),
        images_(x.dim(0)),
        pixels_(x.dim(1) * x.dim(2)),
        channels_(x.dim(3)),
        bands_(std::clamp<std::int64_t>(pixels_ * channels_ / 4096, 1, std::min<std::int64_t>(pixels_, 16))) {
    if constexpr (std::is_same_v<S, bf16>)
      loops_ = HWY_DYNAMIC_DISPATCH(group_norm_bf16)();
    else if constexpr (std::is_same_v<T, float>)
      loops_ = HWY_DYNAMIC_DISPATCH(group_norm_f32)();
    else
      loops_ = HWY_DYNAMIC_DISPATCH(group_norm_f64)();
    auto [mean, variance] = moments(nullptr);
    // Squares of f32 are exact in f64 and their sum says enough; those of f64 must be taken about the mean.
    if constexpr (std::is_same_v<T, double>) variance = moments(mean.data()).second;
    for (std::vector<T>* each : {&mean_, &rstd_, &scale_}) each->reserve(mean.size());
    for (std::size_t i = 0; i < mean.size(); ++i) {
      const double rstd = 1 / std::sqrt(variance[i] + spec_.eps);
      mean_.push_back(static_cast<T>(mean[i]));
      rstd_.push_back(static_cast<T>(rstd));
      scale_.push_back(static_cast<T>(rstd * static_cast<double>(gamma_[i % static_cast<std::size_t>(channels_)])));
    }
  }

  void forward(S* y) const {
    over_bands([&](std::int64_t image, std::int64_t first, const Band<S>& band) {
      loops_.forward(band, at(image), spec_.silu, y + offset(image, first));
    });
  }

  /// dx, by way of du, which may be the same, plus `more` (null: nothing); the sums of du and of du * xhat of every image and channel, for beta's and gamma's gradients, are appended.
  void backward(const S* g, const S* more, T* du, S* dx, std::vector<double>& all,
                std::vector<double>& all_xhat) const {
    std::vector<double> part(scratch()), part_xhat(scratch());
    over_bands([&](std::int64_t image, std::int64_t first, const Band<S>& band) {
      const auto slot = slot_of(image, first);
      loops_.backward(band, at(image), spec_.silu, g + offset(image, first), du + offset(image, first),
                      part.data() + slot, part_xhat.data() + slot);
    });
    const auto sum = add_bands(part), sum_xhat = add_bands(part_xhat);
    all.insert(all.end(), sum.begin(), sum.end());
    all_xhat.insert(all_xhat.end(), sum_xhat.begin(), sum_xhat.end());
    const auto c = static_cast<std::size_t>(channels_), width = c / static_cast<std::size_t>(spec_.groups);
    std::vector<T> a(sum.size()), b(sum.size());
    for (std::size_t i = 0; i < static_cast<std::size_t>(images_); ++i)
      for (std::size_t group = 0; group < c; group += width) {
        double s = 0, sx = 0;
        for (std::size_t k = group; k < group + width; ++k) {
          s += static_cast<double>(gamma_[k]) * sum[i * c + k];
          sx += static_cast<double>(gamma_[k]) * sum_xhat[i * c + k];
        }
        const double factor =
            static_cast<double>(rstd_[i * c + group]) / static_cast<double>(pixels_ * static_cast<std::int64_t>(width));
        std::fill_n(a.begin() + static_cast<std::ptrdiff_t>(i * c + group), width, static_cast<T>(s * factor));
        std::fill_n(b.begin() + static_cast<std::ptrdiff_t>(i * c + group), width, static_cast<T>(sx * factor));
      }
    over_bands([&](std::int64_t image, std::int64_t first, const Band<S>& band) {
      const std::int64_t from = offset(image, first);
      loops_.dx(band, at(image), a.data() + image * channels_, b.data() + image * channels_, du + from,
                more == nullptr ? nullptr : more + from, dx + from);
    });
  }

 private:
  [[nodiscard]] Channels<T> at(std::int64_t image) const {
    const std::int64_t first = image * channels_;
    return {mean_.data() + first, rstd_.data() + first, scale_.data() + first, beta_};
  }
  [[nodiscard]] std::int64_t offset(std::int64_t image, std::int64_t pixel) const {
    return (image * pixels_ + pixel) * channels_;
  }
  [[nodiscard]] std::size_t scratch() const { return static_cast<std::size_t>(images_ * bands_ * channels_); }
  [[nodiscard]] std::int64_t slot_of(std::int64_t image, std::int64_t first) const {
    return (image * bands_ + (first * bands_ + pixels_ - 1) / pixels_) * channels_;
  }

  /// run(image, first pixel, band) for all bands of all images, in parallel.
  template <class Run>
  void over_bands(const Run& run) const {
    parallel_for(images_ * bands_, [&](std::int64_t job) {
      const std::int64_t image = job / bands_, band = job % bands_;
      const std::int64_t first = pixels_ * band / bands_, last = pixels_ * (band + 1) / bands_;
      run(image, first,
          Band<S>{x_ + offset(image, first), static_cast<std::size_t>(last - first),
                  static_cast<std::size_t>(channels_)});
    });
  }

  /// Adds the bands' partial sums in order: (image, channel).
  [[nodiscard]] std::vector<double> add_bands(const std::vector<double>& part) const {
    std::vector<double> sum(static_cast<std::size_t>(images_ * channels_));
    for (std::int64_t i = 0; i < images_ * bands_; ++i)
      for (std::int64_t c = 0; c < channels_; ++c)
        sum[static_cast<std::size_t>(i / bands_ * channels_ + c)] += part[static_cast<std::size_t>(i * channels_ + c)];
    return sum;
  }

  /// Mean and variance of x - shift over each group, repeated for every channel of the group: (image, channel).
  [[nodiscard]] std::pair<std::vector<double>, std::vector<double>> moments(const double* shift) const {
    std::vector<double> part(scratch()), part_squares(scratch());
    over_bands([&](std::int64_t image, std::int64_t first, const Band<S>& band) {
      const auto slot = slot_of(image, first);
      loops_.sums(band, shift == nullptr ? nullptr : shift + image * channels_, part.data() + slot,
                  part_squares.data() + slot);
    });
    auto mean = add_bands(part), variance = add_bands(part_squares);
    const auto width = static_cast<std::size_t>(channels_ / spec_.groups);
    const double weight = 1 / static_cast<double>(pixels_ * static_cast<std::int64_t>(width));
    for (std::size_t group = 0; group < mean.size(); group += width) {
      double sum = 0, squares = 0;
      for (std::size_t k = group; k < group + width; ++k) sum += mean[k], squares += variance[k];
      const double mu = sum * weight;
      std::fill_n(mean.begin() + static_cast<std::ptrdiff_t>(group), width, mu);
      std::fill_n(variance.begin() + static_cast<std::ptrdiff_t>(group), width,
                  std::max(0.0, squares * weight - mu * mu));
    }
    return {mean, variance};
  }

  GroupNormSpec spec_;
  const S* x_;
  const T *gamma_, *beta_;
  std::int64_t images_, pixels_, channels_, bands_;
  GroupNormLoops<T, S> loops_;
  std::vector<T> mean_, rstd_, scale_;  // (image, channel)
};

/// run(first image, images) on as many images at a time as stay in the cache between two passes over `tensors` of them.
template <class Run>
void over_images(const Tensor& x, std::int64_t tensors, const Run& run) {
  if (x.size() == 0) return;
  constexpr std::int64_t cache = 1 << 20;
  const std::int64_t image = tensors * x.size() / x.dim(0) * static_cast<std::int64_t>(size_of(x.dtype()));
  const std::int64_t each = std::clamp<std::int64_t>(cache / image, 1, x.dim(0));
  for (std::int64_t first = 0; first < x.dim(0); first += each) run(first, std::min(each, x.dim(0) - first));
}

}  // namespace

void cpu::group_norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor& y) {
  if (is_row_norm(spec, x)) return row_norm(spec, x, gamma, beta, y);
  visit_floating(x.dtype(), "group_norm", [&](auto tag) {
    using S = decltype(tag);
    over_images(x, 2, [&](std::int64_t first, std::int64_t images) {
      Norm<decltype(widen(tag)), S>(spec, x.rows(first, images), to_compute(gamma), to_compute(beta))
          .forward(y.mutable_data<S>() + first * x.size() / x.dim(0));
    });
  });
}

void cpu::group_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const Tensor& g, const Tensor& addend, GroupNormGrads& grads) {
  if (is_row_norm(spec, x)) return row_norm_vjp(spec, x, gamma, beta, g, addend, grads);
  visit_floating(x.dtype(), "group_norm_vjp", [&](auto tag) {
    using S = decltype(tag);
    using T = decltype(widen(tag));
    std::vector<double> sum, sum_xhat;
    over_images(x, 3, [&](std::int64_t first, std::int64_t images) {
      const Tensor part = x.rows(first, images);
      const std::int64_t offset = first * x.size() / x.dim(0);
      const S* more = addend.defined() ? addend.data<S>() + offset : nullptr;
      S* dx = grads.x.mutable_data<S>() + offset;
      Tensor room = std::is_same_v<T, S> ? Tensor() : Tensor::empty(part.shape(), dtype_of<T>());
      void* du = room.defined() ? room.mutable_bytes() : dx;
      Norm<T, S>(spec, part, to_compute(gamma), to_compute(beta))
          .backward(g.data<S>() + offset, more, static_cast<T*>(du), dx, sum, sum_xhat);
    });
    add_parts<S>(sum_xhat, grads.gamma);
    add_parts<S>(sum, grads.beta);
  });
}

}  // namespace costate
#endif
