// Building and running the blocks of lucidrains' Unet.
#include "nn/lucidrains_blocks.h"

#include "autodiff/ops/attention.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/permute.h"
#include "autodiff/ops/resample.h"
#include "autodiff/ops/silu.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/softmax.h"
#include "autodiff/ops/split.h"

namespace costate {

LucidResBlock::LucidResBlock(std::int64_t in, std::int64_t out, std::int64_t time_width, bool groups)
    : time(time_width, 2 * out), conv1(in, out, 3), conv2(out, out, 3), norm1(out, groups), norm2(out, groups) {
  if (in != out) shortcut.emplace(in, out, Layout::either);
}

Tensor LucidResBlock::operator()(const Tensor& x, const Tensor& time_embedding) const {
  const std::int64_t out = conv1.weight.dim(3);
  const Tensors both = split(reshape(time(time_embedding), {x.dim(0), 1, 1, 2 * out}), 3, {out, out});
  const Tensor h = silu(norm1(conv1(x)) * (both[0] + 1) + both[1]);
  return silu(norm2(conv2(h))) + (shortcut ? (*shortcut)(x) : x);
}

LucidAttention::LucidAttention(std::int64_t channels, std::int64_t number, std::int64_t head_width, std::int64_t memory,
                               bool linear_kind)
    : norm(channels),
      to_qkv(Linear::without_bias(channels, 3 * number * head_width, Layout::either)),
      to_out(number * head_width, channels, Layout::either),
      heads(number),
      width(head_width) {
  if (memory > 0) mem_kv = parameter(linear_kind ? Shape{2, heads, width, memory} : Shape{2, heads, memory, width});
  if (linear_kind) out_norm.emplace(channels);
}

Tensor LucidAttention::remembered(const Tensor& tokens, std::int64_t which) const {
  if (!mem_kv.defined()) return tokens;
  const Tensor one = slice(mem_kv, 0, which, 1);  // (1, heads, memory, width) or (1, heads, width, memory)
  const Tensor rows = permute(one, out_norm ? std::vector<int>{0, 3, 1, 2} : std::vector<int>{0, 2, 1, 3});
  const Tensor memory = reshape(rows, {1, rows.dim(1), heads * width});
  return concat({broadcast_to(memory, memory.shape().with(0, tokens.dim(0))), tokens}, 1);
}

Tensor LucidAttention::full(const Tensor& q, const Tensor& k, const Tensor& v) const {
  return attention(q, k, v, heads, 1 / std::sqrt(static_cast<double>(width)));
}

Tensor LucidAttention::linear(const Tensor& q, const Tensor& k, const Tensor& v) const {
  const std::int64_t n = q.dim(0), t = q.dim(1), all = k.dim(1);
  const auto by_head = [&](const Tensor& x, std::int64_t tokens) {  // (n heads, tokens, width)
    return reshape(permute(reshape(x, {n, tokens, heads, width}), {0, 2, 1, 3}), {n * heads, tokens, width});
  };
  const Tensor keys = softmax(permute(by_head(k, all), {0, 2, 1}));  // over the positions
  const Tensor queries = softmax(by_head(q, t)) * (1 / std::sqrt(static_cast<double>(width)));
  const Tensor context = matmul(keys, by_head(v, all));  // (n heads, width, width)
  const Tensor y = reshape(matmul(queries, context), {n, heads, t, width});
  return reshape(permute(y, {0, 2, 1, 3}), {n, t, heads * width});
}

Tensor LucidAttention::operator()(const Tensor& x) const {
  const std::int64_t inner = heads * width;
  const Tensor tokens = reshape(norm(x), {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)});
  const Tensors qkv = split(to_qkv(tokens), 2, {inner, inner, inner});
  const Tensor q = qkv[0], k = remembered(qkv[1], 0), v = remembered(qkv[2], 1);
  const Tensor y = to_out(out_norm ? linear(q, k, v) : full(q, k, v));
  return reshape(out_norm ? (*out_norm)(y) : y, x.shape());
}

const Shape* LucidKeys::shape(const std::string& key) const {
  const auto at = keys.find(join_key(prefix, key));
  return at == keys.end() ? nullptr : &at->second;
}

LucidAttention LucidKeys::attention(const std::string& key, std::int64_t channels, std::int64_t heads,
                                    std::int64_t width, bool linear) const {
  const bool wrapped = shape(key + ".fn.fn.to_qkv.weight") != nullptr;
  const std::string inner = key + (wrapped ? ".fn.fn" : "");
  if (shape(inner + ".to_qkv.weight") != nullptr) linear = shape(inner + ".to_out.0.weight") != nullptr;
  const Shape* memory = shape(inner + ".mem_kv");
  const std::int64_t tokens = memory != nullptr && memory->rank() == 4 ? (*memory)[linear ? 3 : 2]
                              : keys.empty()                           ? 4
                                                                       : 0;
  LucidAttention a(channels, heads, width, tokens, linear);
  a.wrapped = wrapped;
  return a;
}

Tensor LucidLevel::resize(const Tensor& x) const {
  if (doubles) return (*conv)(upsample_nearest2(x));
  if (conv) return (*conv)(x);
  const std::int64_t n = x.dim(0), h = x.dim(1) / 2, w = x.dim(2) / 2, c = x.dim(3);
  const Tensor blocks = permute(reshape(x, {n, h, 2, w, 2, c}), {0, 1, 3, 5, 2, 4});  // channel, row, column
  return (*linear)(reshape(blocks, {n, h, w, 4 * c}));
}

}  // namespace costate
