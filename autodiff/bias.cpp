// Shapes of biases, and how they are differentiated.
#include "autodiff/bias.h"

#include "autodiff/apply.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/sum.h"

namespace costate {

Shape bias_shape(const Shape& bias, int rank) {
  const Shape ones(std::vector<std::int64_t>(static_cast<std::size_t>(rank), 1));
  return (bias.rank() == 2 ? ones.with(0, bias[0]) : ones).with(-1, bias[-1]);
}

void require_bias(const char* op, const Tensor& bias, const Tensor& x, const Shape& product) {
  if (!bias.defined()) return;
  require_same_kind(op, x, bias);
  require((bias.rank() == 1 || (bias.rank() == 2 && bias.dim(0) == product[0])) && bias.dim(-1) == product[-1],
          "{}: a bias {} does not fit a result of {}", op, bias.shape(), product);
}

Tensor detail::bias_cotangent(const Tensor& g, const Shape& bias) {
  return reshape(sum_to(g, bias_shape(bias, g.rank())), bias);
}

Tensor detail::with_bias(const Tensor& y, const Tensor& bias, const Shape& product) {
  const Tensor spread = reshape(bias, bias_shape(bias.shape(), product.rank()));
  return y.defined() ? add(y, spread) : broadcast_to(spread, product);
}

}  // namespace costate
