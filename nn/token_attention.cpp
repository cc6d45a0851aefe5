// Running token attention; a bias of the scores is one more coordinate of queries and keys.
#include "nn/token_attention.h"

#include <cmath>

#include "autodiff/ops/attention.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sum.h"

namespace costate {
namespace {

/// (n, t, heads * d) with one more coordinate, `extra` (n, t or 1, 1, 1), at the end of each head.
Tensor with_coordinate(const Tensor& x, std::int64_t heads, const Tensor& extra) {
  const std::int64_t n = x.dim(0), t = x.dim(1), d = x.dim(2) / heads;
  const Tensor each = broadcast_to(extra, {n, t, heads, 1});
  return reshape(concat({reshape(x, {n, t, heads, d}), each}, 3), {n, t, heads * (d + 1)});
}

}  // namespace

Tensor biased_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::int64_t heads, double scale,
                        const Tensor& bias) {
  if (!bias.defined()) return attention(q, k, v, heads, scale);
  const std::int64_t n = k.dim(0), s = k.dim(1);
  require(bias.shape() == Shape{n, s}, "attention: a mask of shape {} for {} keys of {} samples", bias.shape(), s, n);
  // (q, 1) . (k, bias / scale) scale = q . k scale + bias
  const Tensor one = Tensor::full({1, 1, 1, 1}, 1, q.kind());
  const Tensor offset = costate::scale(reshape(cast(bias, q.dtype()), {n, s, 1, 1}), 1 / scale);
  return attention(with_coordinate(q, heads, broadcast_to(one, {n, 1, 1, 1})), with_coordinate(k, heads, offset), v,
                   heads, scale);
}

Tensor TokenAttention::operator()(const Tensor& x, const Tensor& context, const Tensor& bias,
                                  const Tensor& addend) const {
  const double head_width = static_cast<double>(to_q.weight.dim(1)) / static_cast<double>(heads);
  const bool to_itself = &x == &context;  // else, if it is one after all, two products for one
  Tensors qkv = to_itself ? linears_of({&to_q, &to_k, &to_v}, x) : linears_of({&to_k, &to_v}, context);
  if (!to_itself) qkv.insert(qkv.begin(), to_q(x));
  return to_out(biased_attention(qkv[0], qkv[1], qkv[2], heads, 1 / std::sqrt(head_width), bias), addend);
}

}  // namespace costate
