// Graphs of one operation each, and the plans of this process.
#include "gpu/cudnn/operations.h"

#include <array>
#include <map>
#include <mutex>

namespace costate::cuda::cudnn {
namespace {

using Numbers = std::vector<std::int64_t>;

/// (n, h, w, c), in the order in which cuDNN counts axes: n, c, h, w.
Descriptor& image(Graph& g, DType dtype, const Shape& s) {
  return tensor(g, type_of(dtype), {s[0], s[3], s[1], s[2]}, {s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]});
}

/// (n, t, heads d) as n, heads, t, d.
Descriptor& tokens(Graph& g, std::int64_t heads, const Shape& s) {
  const std::int64_t d = s[2] / heads;
  return tensor(g, DataType::bf16, {s[0], heads, s[1], d}, {s[1] * s[2], d, s[2], 1});
}

/// How an operation's attributes are called, by direction.
struct Names {
  Kind kind;
  Attribute alpha, beta, convolution, x, w, y;
};
Names names_of(Direction d) {
  using A = Attribute;
  if (d == Direction::forward)
    return {Kind::forward, A::forward_alpha, A::forward_beta, A::forward_convolution,
            A::forward_x,  A::forward_w,     A::forward_y};
  if (d == Direction::data_gradient)
    return {Kind::data_gradient, A::data_alpha, A::data_beta, A::data_convolution, A::data_dx, A::data_w, A::data_dy};
  return {Kind::filter_gradient, A::filter_alpha, A::filter_beta, A::filter_convolution,
          A::filter_x,           A::filter_dw,    A::filter_dy};
}

Graph graph_of(const Target& target, const Convolution& c) {
  Graph g;
  const Names names = names_of(c.direction);
  const Descriptor &x = image(g, c.dtype, c.x), &w = image(g, c.dtype, packed_shape(c.w)), &y = image(g, c.dtype, c.y);
  Descriptor& how = g.add(Kind::convolution).set(Attribute::convolution_mode, ConvolutionMode::cross_correlation);
  how.set(Attribute::convolution_compute_type, c.dtype == DType::f64 ? DataType::f64 : DataType::f32);
  how.set(Attribute::convolution_rank, std::int64_t{2});
  how.set(Attribute::convolution_strides, Numbers{c.at.stride_h, c.at.stride_w});
  how.set(Attribute::convolution_dilations, Numbers{c.at.dilation_h, c.at.dilation_w});
  how.set(Attribute::convolution_padding_before, Numbers{c.at.top, c.at.left});
  how.set(Attribute::convolution_padding_after, Numbers{c.at.bottom, c.at.right});
  how.finalize("a convolution");
  Descriptor& operation = g.add(names.kind).set(names.convolution, how).set(names.x, x).set(names.w, w).set(names.y, y);
  if (c.dtype == DType::f64)
    operation.set(names.alpha, 1.0).set(names.beta, 0.0);
  else
    operation.set(names.alpha, 1.0F).set(names.beta, 0.0F);
  g.close(target, operation.finalize("a convolution"));
  return g;
}

Graph graph_of(const Target& target, const Attention& a) {
  Graph g;
  const Descriptor &q = tokens(g, a.heads, a.q), &k = tokens(g, a.heads, a.k), &v = tokens(g, a.heads, a.v),
                   &y = tokens(g, a.heads, {a.q[0], a.q[1], a.v[2]}),
                   &scale = tensor(g, DataType::f32, {1, 1, 1, 1}, {1, 1, 1, 1}, true);
  Descriptor& operation = g.add(Kind::attention).set(Attribute::attention_q, q).set(Attribute::attention_k, k);
  operation.set(Attribute::attention_v, v).set(Attribute::attention_y, y).set(Attribute::attention_scale, scale);
  g.close(target, operation.finalize("attention"));
  return g;
}

Convolution with_batch(Convolution c, std::int64_t n) {
  c.x = c.x.with(0, n), c.y = c.y.with(0, n);
  return c;
}
Attention with_batch(Attention a, std::int64_t n) {
  a.q = a.q.with(0, n), a.k = a.k.with(0, n), a.v = a.v.with(0, n);
  return a;
}

std::vector<Engine> engines_of(const Target& target, const Graph& g, const Convolution& c) {
  return engines_of(target, g, c.dtype, c.tf32);
}
std::vector<Engine> engines_of(const Target& target, const Graph& g, const Attention&) {
  return engines_of(target, g, DType::bf16, false);
}

template <class Problem>
std::shared_ptr<const Plan> make(const Target& target, const Problem& p) try {
  for (const Engine& engine : engines_of(target, graph_of(target, with_batch(p, usual_batch)), p))
    if (auto plan = Plan::make(target, graph_of(target, p), engine)) return plan;
  return nullptr;
} catch (const Error&) {  // a graph that cuDNN does not take: a crop, say
  return nullptr;
}

/// All that a plan depends on: looked for at every call.
using Key = std::array<std::int64_t, 24>;
Key key_of(const Convolution& c) {
  const ConvGeometry& g = c.at;
  return {static_cast<std::int64_t>(c.direction),
          static_cast<std::int64_t>(c.dtype),
          c.tf32,
          c.x[0],
          c.x[1],
          c.x[2],
          c.x[3],
          c.w[0],
          c.w[1],
          c.w[2],
          c.w[3],
          c.y[1],
          c.y[2],
          g.stride_h,
          g.stride_w,
          g.dilation_h,
          g.dilation_w,
          g.top,
          g.bottom,
          g.left,
          g.right,
          g.groups};
}
Key key_of(const Attention& a) {
  return {a.heads, a.q[0], a.q[1], a.q[2], a.k[0], a.k[1], a.k[2], a.v[0], a.v[1], a.v[2]};
}

template <class Problem>
std::shared_ptr<const Plan> made_once(const Target& target, const Problem& p) {
  if (target.handle() == nullptr) return make(target, p);
  static std::mutex mutex;
  static auto& plans = *new std::map<Key, std::shared_ptr<const Plan>>;
  const std::lock_guard lock(mutex);
  const auto [at, fresh] = plans.try_emplace(key_of(p));
  if (fresh) at->second = make(target, p);
  return at->second;
}

}  // namespace

std::shared_ptr<const Plan> plan_for(const Target& target, const Convolution& c) { return made_once(target, c); }
std::shared_ptr<const Plan> plan_for(const Target& target, const Attention& a) { return made_once(target, a); }

std::string name_of(const Convolution& c) {
  constexpr const char* directions[] = {"conv2d", "conv2d_dx", "conv2d_dw"};
  const Convolution one = with_batch(c, 1);
  return fmt::format("{} {}{} x{} w{} y{} stride {}.{} dilation {}.{} zeros {}.{}.{}.{} groups {}",
                     directions[static_cast<int>(c.direction)], costate::name_of(c.dtype), c.tf32 ? " by tf32" : "",
                     one.x, one.w, one.y, c.at.stride_h, c.at.stride_w, c.at.dilation_h, c.at.dilation_w, c.at.top,
                     c.at.bottom, c.at.left, c.at.right, c.at.groups);
}

std::string name_of(const Attention& a) {
  const Attention one = with_batch(a, 1);
  return fmt::format("attention bf16 heads {} q{} k{} v{}", a.heads, one.q, one.k, one.v);
}

}  // namespace costate::cuda::cudnn
