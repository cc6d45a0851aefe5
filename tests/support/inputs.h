// The tensors of a case: its inputs filled with reproducible numbers, and what a run of it moves.
#pragma once

#include "autodiff/tape.h"
#include "tests/cases/case.h"

namespace costate {

/// Inputs in `dtype` whose numbers `rounded_to` holds exactly, so that runs in two dtypes can start from the same numbers.
Tensors case_inputs(const Case& c, DType dtype, DType rounded_to);
inline Tensors case_inputs(const Case& c, DType dtype) { return case_inputs(c, dtype, dtype); }

/// The inputs that have a derivative.
Wanted differentiable(const Case& c);

/// Bytes of all inputs and of the result: what one run must read and write at least.
double case_bytes(const Tensors& in, const Tensor& out);

/// Same dtype, shape and bits.
bool same_bits(const Tensor& a, const Tensor& b);

/// Largest |a - b| in units of the largest |b|; NaN or unequal shapes give infinity.
double relative_difference(const Tensor& a, const Tensor& b);

}  // namespace costate
