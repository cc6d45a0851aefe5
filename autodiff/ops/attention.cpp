// Composite op: attention. Its forward is its specification run without a tape, so only q, k and v are kept.
#include "autodiff/ops/attention.h"

#include "autodiff/apply.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/softmax.h"

namespace costate {
namespace {

struct Op {
  static constexpr const char* name = "attention";
  std::int64_t heads;
  double factor;

  /// (n, t, heads * d) to (n * heads, t, d)
  [[nodiscard]] Tensor split(const Tensor& x) const {
    const std::int64_t n = x.dim(0), t = x.dim(1), d = x.dim(2) / heads;
    if (heads == 1) return x;
    return reshape(permute(reshape(x, {n, t, heads, d}), {0, 2, 1, 3}), {n * heads, t, d});
  }

  [[nodiscard]] Tensor spec(const Tensor& q, const Tensor& k, const Tensor& v) const {
    const Tensor weights = softmax(matmul(scale(split(q), factor), split(k), false, true));
    const Tensor y = matmul(weights, split(v));
    if (heads == 1) return y;
    const std::int64_t n = q.dim(0), t = q.dim(1), e = y.dim(2);
    return reshape(permute(reshape(y, {n, heads, t, e}), {0, 2, 1, 3}), {n, t, heads * e});
  }

  [[nodiscard]] Tensor forward(const Tensor& q, const Tensor& k, const Tensor& v) const {
    require_same_kind(name, q, k);
    require_same_kind(name, q, v);
    require(q.rank() == 3 && k.rank() == 3 && v.rank() == 3 && q.dim(0) == k.dim(0) && k.dim(0) == v.dim(0) &&
                k.dim(1) == v.dim(1) && q.dim(2) == k.dim(2),
            "{}: wants q (n, t, d), k (n, s, d), v (n, s, e), got {}, {}, {}", name, q.shape(), k.shape(), v.shape());
    require(heads >= 1 && q.dim(2) % heads == 0 && v.dim(2) % heads == 0,
            "{}: widths {} and {} do not divide into {} heads", name, q.dim(2), v.dim(2), heads);
    return spec(q, k, v);
  }
};

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads, double scale) {
  return apply_op(Op{heads, scale}, {q, k, v});
}

}  // namespace costate
