// A case whose first input is read by somebody else as well.
#pragma once

#include <algorithm>

#include "autodiff/ops/add.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sum.h"
#include "tests/cases/case.h"

namespace costate {

/// The case, plus the sum of each row's squares behind it. On the way back these come first, and the op may add its cotangent to theirs
/// (Rule::vjp); `spec` reads a copy, whose cotangent the tape adds.
inline Case read_twice(const Case& c) {
  Case one = c;
  one.variant += "_read_twice";
  const auto with_squares = [](const Tensor& y, const Tensor& x) {
    const auto rows = [&](const Shape& s) {
      return Shape(std::vector<std::int64_t>(static_cast<std::size_t>(s.rank()), 1)).with(0, s[0]);
    };
    return add(y, reshape(sum_to(square(x), rows(x.shape())), rows(y.shape())));
  };
  one.run = [=, run = c.run](const Tensors& in) { return with_squares(run(in), in[0]); };
  one.spec = [=, run = c.run](const Tensors& in) {
    Tensors apart = in;
    apart[0] = scale(scale(in[0], 2), 0.5);
    return with_squares(run(apart), in[0]);
  };
  one.plain = {};
  one.reduction = std::max(c.reduction, c.inputs[0].shape.size() / c.inputs[0].shape[0]);
  return one;
}

}  // namespace costate
