// Latent optimisation: gradient descent on what a sampler starts from, or is told, under a loss of its samples.
#pragma once

#include <string>
#include <vector>

#include "solvers/adjoint.h"
#include "solvers/optimiser.h"
#include "tools/model/conditioned.h"

namespace costate {

/// What is optimised, by name; each fits a Conditioned that was made for it.
struct Free {
  bool x_T = false, z = false, theta = false;
  bool z_scheduled = false;  ///< `z` stands for one z a step
};
/// "x_T,z,z_t,theta"; throws UsageError for another word.
Free free_from(const std::string& list);

/// The condition with its rows of z given explicitly, one for each of `steps` steps: what z_t starts from.
Condition scheduled(const Model& model, const Condition& condition, std::int64_t rows, std::int64_t steps);

class LatentOptimisation {
 public:
  LatentOptimisation(GradientProblem problem, const Conditioned& c, const Free& free, Adjoint adjoint,
                     Optimiser optimiser);

  /// x_0, the loss and its gradient at the present values.
  [[nodiscard]] Gradient gradient() const { return adjoint_.gradient(problem_); }
  /// A step of the optimiser down that.
  void descend(const Gradient& g);
  /// What the run has come to.
  [[nodiscard]] Tensor x_T() const { return problem_.x_T; }
  [[nodiscard]] const Tensors& p() const { return problem_.p; }
  [[nodiscard]] const std::vector<double>& losses() const { return losses_; }
  /// x_0 and the loss at the present values, without a gradient.
  [[nodiscard]] std::pair<Tensor, double> look() const;

  /// Everything a later run needs to go on, to the last bit.
  void save(const std::function<void(const std::string& name, const Tensor& value)>& write) const;
  void restore(const std::function<Tensor(const std::string&)>& read);

 private:
  [[nodiscard]] std::vector<std::size_t> chosen() const;  ///< places among {x_T, p...} of what is optimised
  [[nodiscard]] std::string name_of(std::size_t place) const { return place == 0 ? "x_T" : names_[place - 1]; }
  [[nodiscard]] Tensor& value(std::size_t place) { return place == 0 ? problem_.x_T : problem_.p[place - 1]; }

  GradientProblem problem_;
  std::vector<std::string> names_;
  Adjoint adjoint_;
  Optimiser optimiser_;
  Optimiser::State state_;
  std::vector<double> losses_;
};

}  // namespace costate
