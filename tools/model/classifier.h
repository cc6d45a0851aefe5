// Classifier guidance (Dhariwal and Nichol 2021, algorithm 2): eps - scale sigma grad_x ln p(class | x, t).
//
// A classifier of noisy images is shown x as its own schedule and range would have it at the same noise level, and where the level is
// beyond its schedule it has no say. A classifier that knows no time is shown the x_0 that the model finds in x (Bansal et al. 2023,
// "Universal guidance for diffusion models", section 3.2).
#pragma once

#include <string>

#include "tools/model/model.h"

namespace costate {

/// (n, classes) with a 1 at each row's label; throws for a label that is not among them.
[[nodiscard]] Tensor one_hot(const Tensor& labels, std::int64_t classes, Kind kind);

struct Classifier {
  Model model;
  double scale = 1;
  ValueRange range;  ///< of what is guided
  bool same = true;  ///< what is guided has the classifier's schedule, range and clock

  /// Throws unless `judge` takes the images of `guided`. What it returns should be a row of logits a sample.
  Classifier(Model judge, double strength, const Model& guided);

  [[nodiscard]] std::int64_t classes() const { return model.network->signature().out_channels; }
  /// `net` with eps guided towards the labels (n), in terms of its own prediction. Differentiable.
  [[nodiscard]] Net guide(const Denoiser& denoiser, const Tensor& labels) const;

 private:
  /// ln p of the labels' one-hot rows at x of a level of the classifier's own, summed over the samples.
  [[nodiscard]] Tensor log_p(const Tensor& x, const Level& own, const Tensor& chosen) const;
  /// The same of the canonical state y that is guided, at its level.
  [[nodiscard]] Tensor log_p(const Denoiser& denoiser, const Tensor& y, const Level& at, const Tensors& p,
                             const Tensor& chosen) const;
  /// Is the level one that the classifier can judge?
  [[nodiscard]] bool judges(const Level& at) const;
};

}  // namespace costate
