// From a network's output to the canonical field: the only place where schedules, predictions and dtypes meet.
//
// With y = x / alpha and the clock s = sigma / alpha every linear schedule has the same probability-flow ODE:
//   dy/ds = eps(alpha y, t(s)).
#pragma once

#include <functional>
#include <string>

#include "core/tensor.h"
#include "solvers/schedule.h"

namespace costate {

/// What a network's output means. With x = alpha x_0 + sigma eps:
enum class Prediction {
  epsilon,  ///< eps
  sample,   ///< x_0
  v,      ///< (alpha eps - sigma x_0) / sqrt(alpha^2 + sigma^2); x_0 = alpha x - sigma v at variance-preserving levels
  noise,  ///< sigma eps: the part of x that is noise (blind denoisers)
};
Prediction prediction_from(const std::string& name);  ///< epsilon, sample, v_prediction, noise
std::string name_of(Prediction p);

/// A network as solvers see it: its output for x (n, ...) at a level, from explicit differentiable parameters p
/// (condition and weights, in whatever order its maker chose). x comes in `Denoiser::dtype`.
using Net = std::function<Tensor(const Tensor& x, const Level& at, const Tensors& p)>;

struct Denoiser {
  Net net;
  Prediction prediction = Prediction::epsilon;
  DType dtype = DType::f32;  ///< what the network computes in; the state keeps its own

  /// eps and x_0 for the canonical state y = x / alpha, in the dtype of y. Differentiable in y and p. alpha must be
  /// positive; at sigma = 0 predictions of eps and v still say what eps is, the others throw.
  [[nodiscard]] Tensor eps(const Tensor& y, const Level& at, const Tensors& p) const;
  [[nodiscard]] Tensor x0(const Tensor& y, const Level& at, const Tensors& p) const;
};

}  // namespace costate
