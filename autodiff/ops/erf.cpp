// y = erf x, elementwise
#include "autodiff/ops/erf.h"

#include <cmath>
#include <numbers>

#include "autodiff/apply.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/scale.h"
#include "core/kernels/erf.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "erf";
  static constexpr bool slope_reads_output = false;
  [[nodiscard]] Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(x.shape(), x.kind());
    erf_kernel(x.device(), x, y);
    return y;
  }
  [[nodiscard]] Tensor slope(const Tensor& x, const Tensor&) const {
    return scale(exp(scale(mul(x, x), -1)), 2 / std::sqrt(std::numbers::pi));
  }
};

}  // namespace

Tensor erf(const Tensor& x) { return apply_op(Op{}, {x}); }

}  // namespace costate
