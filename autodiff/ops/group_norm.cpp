// Composite op: group norm with an optional fused SiLU.
#include "autodiff/ops/group_norm.h"

#include <utility>

#include "autodiff/apply.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/silu.h"
#include "autodiff/ops/sqrt.h"
#include "autodiff/ops/sum.h"
#include "core/kernels/group_norm.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "group_norm";
  GroupNormSpec attributes;
  bool rows = false;  ///< each row of the last axis is an image of its own

  [[nodiscard]] Shape images(const Tensor& x) const {
    return rows ? Shape{x.size() / x.dim(-1), 1, 1, x.dim(-1)} : x.shape();
  }

  [[nodiscard]] Tensor spec(const Tensor& x, const Tensor& gamma, const Tensor& beta) const {
    const Shape all = images(x), grouped{all[0], all[1] * all[2], attributes.groups, all[3] / attributes.groups},
                one{all[0], 1, attributes.groups, 1};
    const double weight = 1.0 / static_cast<double>(grouped[1] * grouped[3]);
    const Tensor u = reshape(x, grouped);
    const Tensor centred = sub(u, scale(sum_to(u, one), weight));
    const Tensor variance = scale(sum_to(square(centred), one), weight);
    const Tensor normal = reshape(mul(centred, reciprocal(sqrt(add_scalar(variance, attributes.eps)))), all);
    const Shape channels{1, 1, 1, all[3]};
    const Tensor y = reshape(add(mul(normal, reshape(gamma, channels)), reshape(beta, channels)), x.shape());
    return attributes.silu ? silu(y) : y;
  }

  [[nodiscard]] Tensor forward(const Tensor& x, const Tensor& gamma, const Tensor& beta) const {
    require_same_kind(name, x, gamma);
    require_same_kind(name, x, beta);
    require(rows || x.rank() == 4, "{}: wants x (n, h, w, c), got {}", name, x.shape());
    const std::int64_t channels = x.dim(-1);
    require(attributes.groups >= 1 && channels % attributes.groups == 0, "{}: {} channels do not divide into {} groups",
            name, channels, attributes.groups);
    require(gamma.shape() == Shape{channels} && beta.shape() == gamma.shape(),
            "{}: scale {} and shift {} for {} channels", name, gamma.shape(), beta.shape(), channels);
    Tensor y = Tensor::empty(images(x), x.kind());
    group_norm_kernel(x.device(), attributes, x.reshaped(y.shape()), gamma, beta, y);
    return y.reshaped(x.shape());
  }

  [[nodiscard]] Tensors fast_vjp(const Tensors& in, const Tensor& g, const Wanted& wanted, Tensors& so_far) const {
    const auto as_images = [all = images(in[0])](const Tensor& t) { return t.defined() ? t.reshaped(all) : t; };
    const Tensor x = as_images(in[0]), gamma = in[1];
    GroupNormGrads grads{Tensor::empty(x.shape(), x.kind()), {}, {}};
    const auto of_channels = [&] {  // no image adds anything
      return x.size() > 0 ? Tensor::empty(gamma.shape(), x.kind()) : Tensor::zeros(gamma.shape(), x.kind());
    };
    if (wanted[1]) grads.gamma = of_channels();
    if (wanted[2]) grads.beta = of_channels();
    const Tensor addend = as_images(std::exchange(so_far[0], {}));
    if (x.size() > 0) group_norm_vjp_kernel(x.device(), attributes, x, gamma, in[2], as_images(g), addend, grads);
    return {grads.x.reshaped(in[0].shape()), grads.gamma, grads.beta};
  }
};

}  // namespace

Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, std::int64_t groups, double eps,
                  bool silu) {
  return apply_op(Op{{groups, eps, silu}}, {x, gamma, beta});
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  require(x.rank() >= 1 && x.dim(-1) > 0, "layer_norm: wants (..., c), got {}", x.shape());
  require(gamma.shape() == Shape{x.dim(-1)} && beta.shape() == gamma.shape(),
          "layer_norm: scale {} and shift {} for {} channels", gamma.shape(), beta.shape(), x.dim(-1));
  return apply_op(Op{{1, eps}, true}, {x, gamma, beta});
}

}  // namespace costate
