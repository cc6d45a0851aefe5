// Automatic differentiation as transforms of functions: the public face of this folder.
//
// A function takes tensors and returns tensors, built from the ops of autodiff/ops. Transforms nest freely: hvp is a jvp of a
// vjp. There is no backward(), no .grad and no requires_grad: what is not an argument is a constant.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "autodiff/tape.h"
#include "core/tree.h"

namespace costate {

using Function = std::function<Tensors(const Tensors&)>;

/// A function's values at a point, and the way back from there.
class Vjp {
 public:
  Tensors value;  ///< f(inputs)

  /// J^T g: one cotangent an input (undefined where not wanted), for one cotangent an output (undefined = zero).
  [[nodiscard]] Tensors pull(const Tensors& g) const { return filled(run(g, false)); }
  /// As pull, but frees the tape as it goes: lower peak memory, once only.
  [[nodiscard]] Tensors pull_once(const Tensors& g) const { return filled(run(g, true)); }
  /// As pull_once; undefined, too, where no output with a cotangent comes of the input.
  [[nodiscard]] Tensors pull_reached(const Tensors& g) const { return run(g, true); }

 private:
  friend Vjp vjp(const Function&, const Tensors&, Wanted);
  [[nodiscard]] Tensors run(const Tensors& g, bool consume) const;
  [[nodiscard]] Tensors filled(Tensors found) const;  ///< with zeros
  std::shared_ptr<Recording> tape_;
  Tensors in_, out_;
  Wanted wanted_;
  mutable bool spent_ = false;
};

/// Evaluates f and records what its derivative in the wanted inputs (default: all) needs, and nothing else.
[[nodiscard]] Vjp vjp(const Function& f, const Tensors& inputs, Wanted wanted = {});

/// {f(x), J v}: tangents are carried along with the evaluation, no tape is kept. An undefined tangent is zero.
[[nodiscard]] std::pair<Tensors, Tensors> jvp(const Function& f, const Tensors& inputs, const Tensors& tangents);

/// Value and gradient of a function with one scalar result.
[[nodiscard]] std::pair<Tensor, Tensors> value_and_grad(const std::function<Tensor(const Tensors&)>& f,
                                                        const Tensors& inputs);

/// Hessian-vector product of a scalar function: forward over reverse.
[[nodiscard]] Tensors hvp(const std::function<Tensor(const Tensors&)>& f, const Tensors& inputs, const Tensors& v);

/// f(inputs), remembered by its inputs alone: the way back evaluates f again, once, also for who reads its results. Inputs must be
/// passed, not captured.
[[nodiscard]] Tensors checkpoint(const Function& f, const Tensors& inputs);

/// Cotangents of the inputs from (inputs, outputs, cotangents of the outputs).
using Pullback = std::function<Tensors(const Tensors& in, const Tensors& out, const Tensors& g)>;
/// f(inputs), differentiated by the given rule instead of through its ops. Written with ops, the rule itself differentiates.
/// In forward mode `in_ops` is differentiated, a function of the same value through whose ops the rule's derivative comes
/// out too; without one, forward mode throws.
[[nodiscard]] Tensors custom_derivative(const char* name, const Function& f, const Pullback& pullback,
                                        const Tensors& inputs, const Function& in_ops = {});

/// The same value, a constant to every transform.
[[nodiscard]] Tensor stop_gradient(const Tensor& t);

/// As above for f(tree) -> scalar Tensor: the gradient has the shape of the tree, so a model's gradient is a model.
template <class Tree, class F>
requires(!std::same_as<Tree, Tensors>) std::pair<Tensor, Tree> value_and_grad(F&& f, const Tree& tree) {
  auto [value, gradient] = value_and_grad([&](const Tensors& t) { return f(with_leaves(tree, t)); }, leaves(tree));
  return {value, with_leaves(tree, gradient)};
}

/// The gradient alone.
template <class Tree, class F>
Tree grad(F&& f, const Tree& tree) {
  return value_and_grad(std::forward<F>(f), tree).second;
}

}  // namespace costate
