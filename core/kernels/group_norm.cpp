// Group norm (+ SiLU) on the CPU. An image is cut into bands of pixels by its size alone; every band sums its channels in f64,
// and the bands are added in order, so the bits depend on the image only.
#include "core/kernels/group_norm.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/kernels/copy.h"
#include "core/kernels/group_norm_loops.h"
#include "core/kernels/row_norm.h"
#include "core/parallel.h"

namespace costate {
namespace {

using cpu::NormBand, cpu::NormChannels;

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
    over_bands([&](std::int64_t image, std::int64_t first, const NormBand<S>& band) {
      loops_.forward(band, at(image), spec_.silu, y + offset(image, first));
    });
  }

  /// dx, by way of du, which may be the same, plus `more` (null: nothing); the sums of du and of du * xhat of every image and channel, for beta's and gamma's gradients, are appended.
  void backward(const S* g, const S* more, T* du, S* dx, std::vector<double>& all,
                std::vector<double>& all_xhat) const {
    std::vector<double> part(scratch()), part_xhat(scratch());
    over_bands([&](std::int64_t image, std::int64_t first, const NormBand<S>& band) {
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
    over_bands([&](std::int64_t image, std::int64_t first, const NormBand<S>& band) {
      const std::int64_t from = offset(image, first);
      loops_.dx(band, at(image), a.data() + image * channels_, b.data() + image * channels_, du + from,
                more == nullptr ? nullptr : more + from, dx + from);
    });
  }

 private:
  [[nodiscard]] NormChannels<T> at(std::int64_t image) const {
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
          NormBand<S>{x_ + offset(image, first), static_cast<std::size_t>(last - first),
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
    over_bands([&](std::int64_t image, std::int64_t first, const NormBand<S>& band) {
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
  cpu::GroupNormLoops<T, S> loops_ = cpu::group_norm_loops<T, S>();
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
