// Operators for tensors of equal rank and for numbers.
#pragma once

#include "autodiff/ops/add.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/scale.h"

namespace costate {

[[nodiscard]] inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
[[nodiscard]] inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
[[nodiscard]] inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
[[nodiscard]] inline Tensor operator/(const Tensor& a, const Tensor& b) { return mul(a, reciprocal(b)); }
[[nodiscard]] inline Tensor operator*(double c, const Tensor& x) { return scale(x, c); }
[[nodiscard]] inline Tensor operator*(const Tensor& x, double c) { return scale(x, c); }
[[nodiscard]] inline Tensor operator/(const Tensor& x, double c) { return scale(x, 1 / c); }
[[nodiscard]] inline Tensor operator+(const Tensor& x, double c) { return add_scalar(x, c); }
[[nodiscard]] inline Tensor operator-(const Tensor& x, double c) { return add_scalar(x, -c); }
[[nodiscard]] inline Tensor operator-(const Tensor& x) { return scale(x, -1); }

}  // namespace costate
