// What linear multistep methods share: they remember the field at their last levels and differ in the weights.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "solvers/exponential.h"

namespace costate {

struct Multistep {
  Form form = Form::noise;
  std::size_t points = 2;  ///< values that a full step combines, the one at step.from() included
  int order = 2;           ///< with enough values from the start
  /// Weights of the newest `count` values, newest first. A step to s = 0 gets one value where `polynomial_in_lambda`.
  std::function<Weights(const Step& step, std::size_t count)> weights;
  bool polynomial_in_lambda = true;
  std::optional<Stepper> starter = {};  ///< the method's own; the option overrules it
};

/// Options that every multistep method takes:
///   starter             sampler of the first steps, while values are missing; without it they are of lower order, which
///                       limits the order of the whole to 2
///   starter_steps       ... of so many first steps only; the next ones use the values there are
///   lower_order_final   the last steps use 2 values, then 1 (DPM-Solver's choice for few steps)
///   euler_at_final      the last step uses 1
std::vector<std::string> multistep_options(const std::vector<std::string>& more = {});
Stepper multistep(const Multistep& method, const Config& options);

/// What the last steps are allowed of the values there are: options lower_order_final and euler_at_final.
struct Ending {
  bool lower_order = false, euler = false;

  static Ending from(const Config& options);
  [[nodiscard]] std::size_t values(const Step& step, std::size_t known) const;
};

/// The newest value and those before it, at most `count`.
Tensors remember(const Tensor& newest, const Tensors& before, std::size_t count);
/// Adams-Bashforth in s: the integral over the step of the polynomial in s through the newest `count` values.
Weights adams(const Step& step, std::size_t count);
/// The same for levels equal steps apart in some clock, scaled to this step's: second order on any smooth grid. At most 4.
Weights pseudo_adams(const Step& step, std::size_t count);
/// Lambda of the newest `count` levels (of that of step.from() first), as u = (lambda - lambda_from) / h of this step.
std::vector<double> nodes_in_lambda(const Step& step, std::size_t count);

}  // namespace costate
