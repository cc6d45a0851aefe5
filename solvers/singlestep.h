// Singlestep DPM-Solver: orders 1 to 3 in noise form (DPM-Solver) or data form (DPM-Solver++).
#pragma once

#include "solvers/exponential.h"

namespace costate {

struct Singlestep {
  Form form = Form::noise;
  int order = 2;
  double r1 = 0.5, r2 = 2.0 / 3;  ///< where the inner evaluations lie, as parts of the step in lambda
  bool exact = false;             ///< integrate the interpolating polynomial ("taylor"), where the paper takes less
};

/// y at `to` from y at `from`. `values` holds the field at `from` and at the inner levels, as far as they are known, and
/// receives those that had to be evaluated: lower orders with the same r1 lend theirs to higher ones.
Tensor singlestep(const Singlestep& method, const Step& step, const Tensor& y, const Level& from, const Level& to,
                  Tensors& values);

/// The stepper of a form and order. Options:
///   r1, r2    parts of the step; 1/2 at order 2, 1/3 and 2/3 at order 3
///   inner     lambda: the parts are of lambda; t or quadratic: they are equal parts of t or sqrt t (the authors' code)
///   weights   published or exact
///   budget    evaluations in all: the last steps are of lower order so that they suffice. Wants the grid's steps to be
///             singlestep_steps(order, budget).
///   eta       share of fresh noise (k-diffusion's dpm_fast); 0
std::vector<std::string> singlestep_options(int order);
Stepper make_singlestep(Form form, int order, const Config& options);
int singlestep_steps(int order, int budget);

}  // namespace costate
