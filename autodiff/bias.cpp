// What is added to a product: its shapes, and how it is differentiated.
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

AddedTerms added_of(const char* op, const Tensors& in, const Shape& product) {
  AddedTerms added;
  for (std::size_t i = 2; i < in.size(); ++i) {
    const Tensor& t = in[i];
    require_same_kind(op, in[0], t);
    // Of a product that is one row itself, the second is an addend.
    const bool row =
        product.rank() == 1 ? !added.bias.defined() : t.rank() == 1 || (t.rank() == 2 && product.rank() > 2);
    require(row ? t.dim(-1) == product[-1] && (t.rank() == 1 || t.dim(0) == product[0]) : t.shape() == product,
            "{}: {} {} does not fit a result of {}", op, row ? "a bias" : "an addend", t.shape(), product);
    Tensor& place = row ? added.bias : added.addend;
    require(!place.defined(), "{}: two {} for one product", op, row ? "biases" : "addends");
    place = t;
  }
  return added;
}

Tensors bilinear_inputs(const Tensor& x, const Tensor& w, const AddedTerms& added) {
  Tensors in{x, w};
  for (const Tensor& t : {added.bias, added.addend})
    if (t.defined()) in.push_back(t);
  return in;
}

Tensor detail::added_cotangent(const Tensor& g, const Shape& added) {
  return added == g.shape() ? g : reshape(sum_to(g, bias_shape(added, g.rank())), added);
}

Tensor detail::with_added(const Tensor& y, const Tensor& added, const Shape& product) {
  if (added.shape() == product) return sum_of(y, added);
  const Tensor spread = reshape(added, bias_shape(added.shape(), product.rank()));
  return y.defined() ? add(y, spread) : broadcast_to(spread, product);
}

}  // namespace costate
