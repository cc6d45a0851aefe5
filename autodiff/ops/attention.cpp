// Composite op: attention, with kernels for its value and first derivative that never hold all scores.
#include "autodiff/ops/attention.h"

#include "autodiff/apply.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/softmax.h"
#include "core/flops.h"
#include "core/kernels/attention.h"
#include "core/kernels/memory.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "attention";
  AttentionSpec attributes;

  /// (n, t, heads * d) to (n * heads, t, d)
  [[nodiscard]] Tensor split(const Tensor& x) const {
    const std::int64_t heads = attributes.heads, n = x.dim(0), t = x.dim(1), d = x.dim(2) / heads;
    if (heads == 1) return x;
    return reshape(permute(reshape(x, {n, t, heads, d}), {0, 2, 1, 3}), {n * heads, t, d});
  }

  [[nodiscard]] Tensor spec(const Tensor& q, const Tensor& k, const Tensor& v) const {
    const Tensor weights = softmax(matmul(scale(split(q), attributes.scale), split(k), false, true));
    const Tensor y = matmul(weights, split(v));
    if (attributes.heads == 1) return y;
    const std::int64_t heads = attributes.heads, n = q.dim(0), t = q.dim(1), e = y.dim(2);
    return reshape(permute(reshape(y, {n, heads, t, e}), {0, 2, 1, 3}), {n, t, heads * e});
  }

  [[nodiscard]] Tensor forward(const Tensor& q, const Tensor& k, const Tensor& v) const {
    require_same_kind(name, q, k);
    require_same_kind(name, q, v);
    require(q.rank() == 3 && k.rank() == 3 && v.rank() == 3 && q.dim(0) == k.dim(0) && k.dim(0) == v.dim(0) &&
                k.dim(1) == v.dim(1) && q.dim(2) == k.dim(2),
            "{}: wants q (n, t, d), k (n, s, d), v (n, s, e), got {}, {}, {}", name, q.shape(), k.shape(), v.shape());
    const std::int64_t heads = attributes.heads;
    require(heads >= 1 && q.dim(2) % heads == 0 && v.dim(2) % heads == 0,
            "{}: widths {} and {} do not divide into {} heads", name, q.dim(2), v.dim(2), heads);
    require(k.dim(1) > 0 && q.dim(2) > 0 && v.dim(2) > 0, "{}: nothing to attend to in q {}, k {}, v {}", name,
            q.shape(), k.shape(), v.shape());
    Tensor y = Tensor::empty({q.dim(0), q.dim(1), v.dim(2)}, q.kind());
    count_products(q.size() + y.size(), k.dim(1));
    attention_kernel(q.device(), attributes, q, k, v, y);
    return y;
  }

  [[nodiscard]] Tensors fast_vjp(const Tensors& in, const Tensor& g, const Wanted& wanted) const {
    const Tensor &q = in[0], &k = in[1], &v = in[2];
    const bool keys = wanted[1] || wanted[2];
    const Tensors of(in.begin(), keys ? in.end() : in.begin() + 1);
    count_products((keys ? 3 : 2) * q.size() + (keys ? 2 : 1) * g.size(), k.dim(1));
    AttentionGrads grads = AttentionGrads::room_for(of, keys && k.dim(1) == q.dim(1) ? lines_of(in) : 1);
    if (g.size() > 0)
      attention_vjp_kernel(q.device(), attributes, q, k, v, g, grads);
    else
      fill_kernel(q.device(), 0, grads.all);  // keys that nobody asks
    Tensors back = grads.parts(of);
    back.resize(in.size());
    return back;
  }

  /// Lines in which gradients lie as q, k and v do, if these are slices of one tensor that follow one another; else one.
  [[nodiscard]] std::int64_t lines_of(const Tensors& in) const {
    const Shape all{in[0].size() + in[1].size() + in[2].size()};
    const std::int64_t tokens = in[0].dim(0) * in[0].dim(1);
    for (const std::int64_t lines : {tokens, tokens * attributes.heads})
      if (Tensor::spanning(in, lines, all).defined()) return lines;
    return 1;
  }
};

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads, double scale) {
  return apply_op(Op{heads, scale}, {q, k, v});
}

}  // namespace costate
