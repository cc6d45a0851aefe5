// Classifier guidance (Dhariwal and Nichol 2021, algorithm 2): eps - scale sigma grad_x ln p(class | x, t), with p from a
// classifier that was trained on noisy images.
#pragma once

#include <string>

#include "tools/model/model.h"

namespace costate {

struct Classifier {
  Model model;
  double scale = 1;
  bool unit_input = false;  ///< of the guided model: the classifier is given what its network is

  /// From a checkpoint; throws unless it takes the images of `guided` and returns a row of logits a sample.
  Classifier(const std::string& file, double strength, const Model& guided);

  [[nodiscard]] std::int64_t classes() const { return model.network->signature().out_channels; }
  /// `net` with eps guided towards the labels (n), in terms of its own prediction. Differentiable.
  [[nodiscard]] Net guide(const Denoiser& denoiser, const Tensor& labels) const;
};

}  // namespace costate
