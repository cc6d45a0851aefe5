// Bilinear op: the weight gradient of conv2d.
#include "autodiff/apply.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/conv2d_shape.h"
#include "core/flops.h"
#include "core/kernels/copy.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "conv2d_dw";
  ConvGeometry geometry;
  Shape w;

  [[nodiscard]] Tensor forward(const Tensor& x, const Tensor& g) const {
    require_same_kind(name, x, g);
    const Shape y = conv2d_shape(name, geometry, x.shape(), w);
    require(g.shape() == y, "{}: the cotangent has shape {}, the convolution's result {}", name, g.shape(), y);
    const Tensor u = to_compute(x), v = to_compute(g);
    Tensor dw = Tensor::empty(w, u.kind());
    count_products(y.size(), w.size() / w[3]);
    conv2d_dw_kernel(g.device(), geometry, u, v, dw);
    return to_stored(dw, g.dtype());
  }
  // <h, conv2d_dw(x, g)> = <g, conv2d(x, h)>
  [[nodiscard]] Tensor wrt0(const Tensor& h, const Tensor& g, const Tensor& x) const {
    return conv2d_dx(g, h, x.shape(), geometry);
  }
  [[nodiscard]] Tensor wrt1(const Tensor& h, const Tensor& x, const Tensor&) const { return conv2d(x, h, geometry); }
};

}  // namespace

Tensor conv2d_dw(const Tensor& x, const Tensor& g, const Shape& w, const ConvGeometry& geometry) {
  return apply_op(Op{geometry, w}, {x, g});
}

}  // namespace costate
