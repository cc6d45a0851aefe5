// Rows by several weight matrices at once: one product of as many problems, where weights lie so that they are one tensor.
#include "autodiff/ops/linears.h"

#include <utility>

#include "autodiff/bias.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/linear.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/flops.h"
#include "core/kernels/matmul.h"
#include "core/profile.h"

namespace costate {
namespace {

constexpr const char* name = "linears";

/// The inputs: x, the weights, and as many biases and further ones, or none.
struct Parts {
  Tensor x;
  Tensors weights, biases, more;

  Parts(const Tensors& in, std::size_t count) : x(in[0]) {
    auto from = in.begin() + 1;
    for (Tensors* part : {&weights, &biases, &more})
      for (std::size_t i = 0; i < count && from != in.end(); ++i) part->push_back(*from++);
  }
};

void check(const Parts& p) {
  const Shape& w = p.weights[0].shape();
  require(is_floating(p.x.dtype()) && w.rank() == 2 && p.x.rank() >= 1 && p.x.dim(-1) == w[0],
          "{}: wants (..., k) and (k, n), got {} and {}", name, p.x.shape(), w);
  for (const Tensors* part : {&p.biases, &p.more})
    for (const Tensor& t : *part)
      require(t.shape() == Shape{w[1]}, "{}: a bias {} does not fit {} columns", name, t.shape(), w[1]);
}

/// One by one.
Tensors apart(const Parts& p) {
  Tensors y;
  for (std::size_t i = 0; i < p.weights.size(); ++i) {
    const Tensor bias = p.biases.empty() ? Tensor() : p.more.empty() ? p.biases[i] : add(p.biases[i], p.more[i]);
    y.push_back(linear(p.x, p.weights[i], bias));
  }
  return y;
}

/// (count, ...) of tensors of one shape that follow each other in one storage, undefined if they do not.
Tensor joined(const Tensors& each) {
  for (const Tensor& t : each)
    if (t.shape() != each[0].shape() || t.is_ghost()) return {};
  return Tensor::spanning(each, 1, each[0].shape().with_front(static_cast<std::int64_t>(each.size())));
}

/// At once, by the weights as one tensor w (count, k, n).
Tensors together(const Parts& p, const Tensor& w) {
  const ActiveLevels none(0);
  const ProfileScope scope(name);
  const std::int64_t count = w.dim(0), k = w.dim(1), n = w.dim(2);
  const Shape rows = as_matrix(p.x.shape());
  Tensor bias = p.biases.empty() ? Tensor() : stacked(p.biases);
  if (!p.more.empty()) bias = add(bias, stacked(p.more));
  Tensor y = Tensor::empty({count, rows[1], n}, p.x.kind());
  count_products(y.size(), k);
  matmul_kernel(p.x.device(), false, false, p.x.reshaped(rows), w, bias, {}, y);
  Tensors each;
  for (std::int64_t i = 0; i < count; ++i) each.push_back(y.rows(i, 1).reshaped(p.x.shape().with(-1, n)));
  return each;
}

class LinearsRule final : public Rule {
 public:
  explicit LinearsRule(std::size_t count) : count_(count) {}
  [[nodiscard]] const char* name() const override { return costate::name; }

  /// x for the weights' cotangents, the weights for x's.
  [[nodiscard]] Wanted reads(const Wanted& wanted) const override {
    Wanted reads(wanted.size() + 1, false);
    for (std::size_t i = 1; i <= count_; ++i) {
      reads[i] = wanted[0];
      if (wanted[i]) reads[0] = true;
    }
    return reads;
  }

  /// The last first, as the walk back meets separate ones.
  [[nodiscard]] Tensors vjp(const Tensors& in, const Tensors&, const Tensors& g, const Wanted& wanted,
                            Tensors& so_far) const override {
    Tensors back(in.size());
    if (wanted[0]) back[0] = std::exchange(so_far[0], {});
    for (std::size_t i = count_; i-- > 0;) {
      if (!g[i].defined()) continue;
      if (wanted[0]) back[0] = linear(g[i], in[i + 1], {}, back[0], true);
      if (wanted[i + 1]) back[i + 1] = weight_cotangent(in[0], g[i]);
      for (std::size_t b = i + 1 + count_; b < in.size(); b += count_)
        if (wanted[b]) back[b] = reshape(sum_to(g[i], bias_shape(in[b].shape(), g[i].rank())), in[b].shape());
    }
    return back;
  }

  [[nodiscard]] Tensors jvp(const Tensors& in, const Tensors&, const Tensors& v) const override {
    return costate::jvp([this](const Tensors& at) { return apart(Parts(at, count_)); }, in, v).second;
  }

 private:
  std::size_t count_;
};

}  // namespace

Tensors linears(const Tensor& x, const Tensors& weights, const Tensors& biases, const Tensors& more) {
  const std::size_t count = weights.size();
  require((biases.empty() || biases.size() == count) && (more.empty() || more.size() == biases.size()),
          "{}: {} weights do not fit {} biases and {} more", name, count, biases.size(), more.size());
  Tensors in{x};
  for (const Tensors* part : {&weights, &biases, &more}) in.insert(in.end(), part->begin(), part->end());
  for (const Tensor& t : in) {
    require(t.defined(), "{}: an operand is undefined", name);
    require_same_kind(name, x, t);
  }
  require(count > 0, "{}: no weights", name);
  const Parts parts(in, count);
  const Tensor w = joined(weights);
  if (!w.defined()) return apart(parts);
  check(parts);
  Tensors y = together(parts, w);
  return watched(in) ? note(std::make_shared<const LinearsRule>(count), in, std::move(y)) : y;
}

}  // namespace costate
