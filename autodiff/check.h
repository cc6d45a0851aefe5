// Checks of derivatives by numbers: for the tests, for `costate check`, and for whoever writes an op or a custom derivative.
//
// Each check returns the worst relative deviation it saw and judges nothing. Directions are random but the same on every machine.
// The function must be smooth within a few `step`s of the point; f64 inputs are what makes small deviations possible.
#pragma once

#include "autodiff/transform.h"

namespace costate {

struct CheckOptions {
  std::uint64_t seed = 1;
  int directions = 2;
  DType through = DType::f64;  ///< coarsest dtype a value passes through on its way; sets the step of the differences
};

/// The step of the difference quotient along a direction whose largest entry is 1: eps^(1/7), which balances the error of the
/// six-point formula, O(step^6), against rounding, O(eps / step). Its error is then of order eps^(6/7).
double difference_step(DType through);

/// <g, (f(x + h v) - f(x - h v)) ...> by the six-point formula against <J^T g, v>, in units of |J v|; v over the wanted inputs.
double difference_deviation(const Function& f, const Tensors& at, const Wanted& wanted,
                            const CheckOptions& options = {});

/// <g, J v> by jvp against <J^T g, v> by vjp, in units of |J v|.
double duality_deviation(const Function& f, const Tensors& at, const Wanted& wanted, const CheckOptions& options = {});

/// (x, g) -> J(x)^T g for one cotangent g an output, as a function that can be checked in turn: its derivative is the second
/// of f. Undefined parts of the result are left out.
Function pullback_function(const Function& f, std::size_t inputs, const Wanted& wanted);

struct DerivativeReport {
  double difference = 0, duality = 0;                ///< first order
  double second_difference = 0, second_duality = 0;  ///< the same of pullback_function
};

/// All of the above. `wanted` empty: every floating input.
DerivativeReport check_derivatives(const Function& f, const Tensors& at, Wanted wanted = {},
                                   const CheckOptions& options = {});

}  // namespace costate
