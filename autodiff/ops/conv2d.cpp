// Bilinear op: conv2d, with the shape rule its two gradients share.
#include "autodiff/ops/conv2d.h"

#include <utility>

#include "autodiff/apply.h"
#include "autodiff/bias.h"
#include "autodiff/ops/conv2d_shape.h"
#include "core/flops.h"
#include "core/kernels/conv2d_and_linear.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "conv2d";
  ConvGeometry geometry;

  /// The result, not yet made, and what is added to it.
  [[nodiscard]] std::pair<Tensor, AddedTerms> begin(const Tensors& in) const {
    const Tensor &x = in[0], &w = in[1];
    require_same_kind(name, x, w);
    const Shape shape = conv2d_shape(name, geometry, x.shape(), w.shape());
    count_products(shape.size(), w.size() / w.dim(3));
    return {Tensor::empty(shape, x.kind()), added_of(name, in, shape)};
  }
  [[nodiscard]] Tensor forward(const Tensors& in) const {
    auto [y, added] = begin(in);
    conv2d_kernel(y.device(), geometry, in[0], in[1], added.bias, added.addend, y);
    return y;
  }
  [[nodiscard]] Tensor wrt0(const Tensor& g, const Tensor& w, const Tensor& x, const Tensor& so_far) const {
    return conv2d_dx(g, w, x.shape(), geometry, so_far);
  }
  [[nodiscard]] Tensor wrt1(const Tensor& g, const Tensor& x, const Tensor& w) const {
    return conv2d_dw(x, g, w.shape(), geometry);
  }
};

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const ConvGeometry& geometry) { return apply_op(Op{geometry}, {x, w}); }
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry) {
  return conv2d(x, w, bias, {}, geometry);
}
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& addend,
              const ConvGeometry& geometry) {
  return apply_op(Op{geometry}, bilinear_inputs(x, w, {bias, addend}));
}
Tensor conv2d_and_linear(const Tensor& x, const Tensor& w, const Tensor& bias, const LinearTerm& addend,
                         const ConvGeometry& geometry) {
  const Op op{geometry};
  const Tensors in = bilinear_inputs(x, w, {bias, addend.value});
  Tensor made = [&] {
    const ActiveLevels none(0);
    const ProfileScope scope(Op::name);
    Tensor y = op.begin(in).first;
    conv2d_and_linear_kernel(y.device(), geometry, x, w, bias, addend.x, addend.w, addend.bias, y);
    return y;
  }();
  return tell(op, in, std::move(made));
}

ConvGeometry same_padding(std::int64_t kernel_h, std::int64_t kernel_w) {
  return {.top = (kernel_h - 1) / 2, .bottom = kernel_h / 2, .left = (kernel_w - 1) / 2, .right = kernel_w / 2};
}

Shape conv2d_shape(const char* op, const ConvGeometry& g, const Shape& x, const Shape& w) {
  require(x.rank() == 4 && w.rank() == 4, "{}: wants x (n,h,w,c) and w (kh,kw,in,out), got {} and {}", op, x, w);
  require(g.groups >= 1 && g.stride_h >= 1 && g.stride_w >= 1 && g.dilation_h >= 1 && g.dilation_w >= 1,
          "{}: groups, strides and dilations must be positive", op);
  require(x.size() > 0 && w.size() > 0, "{}: images {} or weights {} hold nothing", op, x, w);
  require(x[3] == w[2] * g.groups && w[3] % g.groups == 0, "{}: {} channels in {} groups do not fit weights {}", op,
          x[3], g.groups, w);
  const std::int64_t span_h = x[1] + g.top + g.bottom - g.dilation_h * (w[0] - 1) - 1;
  const std::int64_t span_w = x[2] + g.left + g.right - g.dilation_w * (w[1] - 1) - 1;
  require(span_h >= 0 && span_w >= 0, "{}: a kernel of {}x{} does not fit the padded image {}", op, w[0], w[1], x);
  return {x[0], span_h / g.stride_h + 1, span_w / g.stride_w + 1, w[3]};
}

}  // namespace costate
