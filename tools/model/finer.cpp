// Sampling the details of images, scale by scale.
#include "tools/model/finer.h"

#include <algorithm>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/split.h"
#include "core/random.h"
#include "tools/model/grid.h"

namespace costate {
namespace {

constexpr double top_of_range = 0.8;

/// The denoiser of details (n, h, w, 3c) below `low`.
Denoiser details_below(const Model& model, const Tensor& low) {
  const Tensor condition = cast(low, model.dtype);
  return {.net =
              [network = model.network, condition](const Tensor& x, const Level&, const Tensors&) {
                Inputs in;
                in.x = concat({condition, x}, 3);
                return (*network)(in);
              },
          .prediction = model.prediction,
          .dtype = model.dtype};
}

}  // namespace

std::uint64_t seed_of_scale(std::uint64_t seed, std::size_t scale) {
  const auto words = philox4x32({static_cast<std::uint32_t>(scale), ~std::uint32_t{0}, 0, 0},
                                {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return static_cast<std::uint64_t>(words[1]) << 32 | words[0];
}

Tensor from_haar(const Tensor& low, const Tensor& details) {
  const std::int64_t n = low.dim(0), h = low.dim(1), w = low.dim(2), c = low.dim(3);
  require(details.shape() == Shape{n, h, w, 3 * c}, "from_haar: details {} for an image {}", details.shape(),
          low.shape());
  const Tensors parts = split(details, 3, {c, c, c});
  const Tensor &horizontal = parts[0], &vertical = parts[1], &diagonal = parts[2];
  const Tensor sums = low + horizontal, differences = vertical + diagonal;         // of the upper row
  const Tensor below = low - horizontal, below_differences = vertical - diagonal;  // and of the lower
  const Tensor block =
      concat({sums + differences, sums - differences, below + below_differences, below - below_differences}, 3);
  return reshape(permute(reshape(block, {n * h, w, 2, 2, c}), {0, 2, 1, 3, 4}), {n, 2 * h, 2 * w, c});
}

Tensor stretched(const Tensor& x, double top) {
  std::vector<double> v = x.to_vector();
  const std::size_t each = v.size() / static_cast<std::size_t>(x.dim(0));
  for (auto at = v.begin(); at != v.end(); at += static_cast<std::ptrdiff_t>(each)) {
    const auto end = at + static_cast<std::ptrdiff_t>(each);
    const auto [low, high] = std::minmax_element(at, end);
    const double least = *low, span = *high - *low;
    std::transform(at, end, at, [&](double e) { return span > 0 ? top * (e - least) / span : 0; });
  }
  return Tensor::from(v, x.shape(), x.kind().with(DType::f64));
}

FinerScales::FinerScales(const std::vector<std::string>& files, const Model& coarse, Stepper method, int steps_each)
    : stepper(std::move(method)), steps(steps_each) {
  const Shape image = coarse.sample_shape();
  require(image.rank() == 3, "finer scales: {} makes no images but {}", coarse.name, image);
  for (const auto& file : files) {
    models.push_back(load_model(file, {.dtype = coarse.dtype, .device = coarse.device}));
    const Model& m = models.back();
    require(!m.is_exact(), "{}: an exact problem is no denoiser of details", file);
    const Signature s = m.network->signature();
    require(!s.takes_time && s.input.rank() == 3 && s.input[2] == 4 * image[2] && s.out_channels == 3 * image[2],
            "{}: is no denoiser of the details of {}: it takes {} and returns {} channels, not (h, w, {}) and {}", file,
            coarse.name, s.input, s.out_channels, 4 * image[2], 3 * image[2]);
  }
}

Tensor FinerScales::refine(Tensor x, std::uint64_t seed, std::int64_t first, const Progress& progress) const {
  x = stretched(x, top_of_range);
  for (std::size_t scale = 0; scale < models.size(); ++scale) {
    const Model& m = models[scale];
    const std::uint64_t own = seed_of_scale(seed, scale);
    const auto from = static_cast<std::uint64_t>(first);
    const Grid grid = grid_of(m, steps);
    const Sampler sampler{.denoiser = details_below(m, x),
                          .grid = grid,
                          .stepper = stepper,
                          .noise = fresh_noise(own, from),
                          .schedule = m.schedule};
    const Tensor start =
        normal_noise(own, from, x.dim(0), 0, {x.dim(1), x.dim(2), 3 * x.dim(3)}, {DType::f64, m.device});
    const auto before = static_cast<std::int64_t>(scale) * steps,
               all = static_cast<std::int64_t>(models.size()) * steps;
    const auto part = [&](std::int64_t done, std::int64_t) { report(progress, before + done, all); };
    x = from_haar(x, sample(sampler, grid.front().sigma * start, {}, part));
  }
  return x;
}

}  // namespace costate
