// Adam's step is one kernel with three results. Its derivatives are those of its definition in plain ops.
#include "autodiff/ops/adam.h"

#include "autodiff/ops/add.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/reciprocal.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sqrt.h"
#include "autodiff/transform.h"
#include "core/profile.h"

namespace costate {
namespace {

Tensors forward(const AdamFactors& by, const Tensors& in) {
  const ProfileScope scope("adam");
  Tensors out;
  for (const std::size_t i : {0, 2, 3}) out.push_back(Tensor::empty(in[i].shape(), in[i].kind()));
  adam_kernel(in[0].device(), by, in[0], in[1], in[2], in[3], out[0], out[1], out[2]);
  return out;
}

Tensors spec(const AdamFactors& by, const Tensors& in) {
  const DType wide = in[2].dtype();
  const Tensor g = cast(in[1], wide);
  const Tensor m = lincomb(by.beta_1, in[2], 1 - by.beta_1, g);
  const Tensor v = lincomb(by.beta_2, in[3], 1 - by.beta_2, mul(g, g));
  const Tensor direction = mul(m, reciprocal(add_scalar(sqrt(scale(v, by.unbias)), by.tiny)));
  return {cast(lincomb(1, cast(in[0], wide), -by.rate, direction), in[0].dtype()), m, v};
}

}  // namespace

Tensors adam(const AdamFactors& by, const Tensor& x, const Tensor& g, const Tensor& m, const Tensor& v) {
  require_same("adam (gradient and values)", g, x);
  require(is_floating(x.dtype()), "adam: wants floating values, got {}", name_of(x.dtype()));
  require_same("adam (moments)", m, v);
  require(m.shape() == x.shape() && m.kind() == x.kind().with(moment_dtype(x.dtype())),
          "adam: moments of {} values {} on {} should be {}, are {} {} on {}", name_of(x.dtype()), x.shape(),
          name_of(x.device()), name_of(moment_dtype(x.dtype())), name_of(m.dtype()), m.shape(), name_of(m.device()));
  const Function plain = [by](const Tensors& t) { return spec(by, t); };
  const Pullback back = [plain](const Tensors& at, const Tensors&, const Tensors& gs) {
    return vjp(plain, at).pull_once(gs);
  };
  return custom_derivative(
      "adam", [by](const Tensors& t) { return forward(by, t); }, back, {x, g, m, v}, plain);
}

}  // namespace costate
