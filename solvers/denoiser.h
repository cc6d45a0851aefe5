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
  score,  ///< grad ln q_t(x) = -eps / sigma
  flow,   ///< eps - x_0, the velocity of x = (1 - t) x_0 + t eps
  edm,    ///< F of x_0 = c_skip y + c_out F(c_in y), y = x / alpha at noise level s (Karras et al. 2022, table 1)
  edm_v,  ///< -F
};
/// epsilon, sample, v_prediction, noise, score, flow, edm, edm_v
Prediction prediction_from(const std::string& name);
std::string name_of(Prediction p);

/// A network as solvers see it: its output for x (n, ...) at a level, from explicit differentiable parameters p
/// (condition and weights, in whatever order its maker chose). x comes in `Denoiser::dtype`.
using Net = std::function<Tensor(const Tensor& x, const Level& at, const Tensors& p)>;

struct Denoiser {
  Net net;
  Prediction prediction = Prediction::epsilon;
  DType dtype = DType::f32;  ///< what the network computes in; the state keeps its own
  double sigma_data = 0.5;   ///< standard deviation of the data, for predictions `edm`
  /// Applied to every x_0, if given: clipping, dynamic thresholding ... eps follows from the x_0 that comes out.
  std::function<Tensor(const Tensor& x_0, const Level& at)> correct = {};
  bool eps_follows = true;  ///< false: eps stays the network's own, which then contradicts x_0 (diffusers' DDIM)

  struct Both {
    Tensor x_0, eps;
  };
  /// What the network's x is to the canonical state y.
  [[nodiscard]] double input_scale(const Level& at) const;
  /// What the network's output is a sum of: so much x_0, so much eps.
  struct Parts {
    double x_0, eps;
  };
  [[nodiscard]] Parts output(const Level& at) const;
  /// How much eps moves with the network's output, at fixed x.
  [[nodiscard]] double eps_per_output(const Level& at) const;
  /// eps and x_0 for the canonical state y = x / alpha (x / sigma at pure noise), in the dtype of y. Differentiable in y
  /// and p. At sigma = 0 all predictions but those of x_0 and noise say what eps is, at alpha = 0 those of x_0, v and flow what
  /// x_0 is; the others throw there.
  [[nodiscard]] Tensor eps(const Tensor& y, const Level& at, const Tensors& p) const;
  [[nodiscard]] Tensor x0(const Tensor& y, const Level& at, const Tensors& p) const;
  [[nodiscard]] Both both(const Tensor& y, const Level& at, const Tensors& p) const;  ///< of one evaluation
};

/// From now on counts the evaluations that go through d. `count` outlives d.
void count_evaluations(Denoiser& d, std::int64_t& count);

}  // namespace costate
