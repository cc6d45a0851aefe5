// Bilinear op: the data gradient of conv2d.
#include "autodiff/apply.h"
#include "autodiff/bias.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/conv2d_shape.h"
#include "core/flops.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "conv2d_dx";
  ConvGeometry geometry;
  Shape x;

  [[nodiscard]] Tensor forward(const Tensors& in) const {
    const Tensor &g = in[0], &w = in[1];
    require_same_kind(name, g, w);
    const Shape y = conv2d_shape(name, geometry, x, w.shape());
    require(g.shape() == y, "{}: the cotangent has shape {}, the convolution's result {}", name, g.shape(), y);
    const auto [bias, addend] = added_of(name, in, x);
    require(!bias.defined(), "{}: an addend {} does not fit a result of {}", name, bias.shape(), x);
    Tensor dx = Tensor::empty(x, g.kind());
    count_products(y.size(), w.size() / w.dim(3));
    conv2d_dx_kernel(g.device(), geometry, g, w, addend, dx);
    return dx;
  }
  // Linear in g with transpose conv2d, linear in w like <h, conv2d_dx(g, w)> = <g, conv2d(h, w)>.
  [[nodiscard]] Tensor wrt0(const Tensor& h, const Tensor& w, const Tensor&, const Tensor& so_far) const {
    return conv2d(h, w, {}, so_far, geometry);
  }
  [[nodiscard]] Tensor wrt1(const Tensor& h, const Tensor& g, const Tensor& w) const {
    return conv2d_dw(h, g, w.shape(), geometry);
  }
};

}  // namespace

Tensor conv2d_dx(const Tensor& g, const Tensor& w, const Shape& x, const ConvGeometry& geometry, const Tensor& addend) {
  return apply_op(Op{geometry, x}, bilinear_inputs(g, w, {{}, addend}));
}

}  // namespace costate
