// Coarse to fine: denoisers of Haar details, each of which doubles images (Kadkhodaie, Guth, Mallat, Simoncelli, "Learning multi-scale
// local conditional probability models of images", ICLR 2023, section 3).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/progress.h"
#include "solvers/sampler.h"
#include "tools/model/model.h"

namespace costate {

/// The image (n, 2h, 2w, c) of its block means `low` (n, h, w, c) and its details (n, h, w, 3c), horizontal, vertical and diagonal.
/// A block (a b / c d) has low = (a + b + c + d) / 4, and details with minus before c and d, b and d, b and c.
[[nodiscard]] Tensor from_haar(const Tensor& low, const Tensor& details);

/// Every image (n, ...) stretched linearly to [0, top].
[[nodiscard]] Tensor stretched(const Tensor& x, double top);

/// The seed of a scale's own noise: two words of the generator at a place that no noise has (its step is the last of all).
[[nodiscard]] std::uint64_t seed_of_scale(std::uint64_t seed, std::size_t scale);

/// Denoisers of the details under a clean coarse image, which are its first channels; coarse to fine.
struct FinerScales {
  std::vector<Model> models;
  Stepper stepper;
  int steps = 40;

  /// `coarse` is what the images of the first scale come from. Throws where a model does not take its images.
  FinerScales(const std::vector<std::string>& files, const Model& coarse, Stepper method, int steps_each);

  /// Images (n, h, w, c), the samples first ... first + n - 1, at twice the size in each direction for every model. They are stretched
  /// to [0, 0.8] before: the networks were trained on pictures, and samples of the coarsest scale have any contrast.
  [[nodiscard]] Tensor refine(Tensor x, std::uint64_t seed, std::int64_t first, const Progress& progress) const;
};

}  // namespace costate
