// Turns an op - one small struct - into a tensor function that every transform can differentiate.
//
// An op has `static constexpr const char* name`, attributes, `forward`, and the member that gives its derivative by family:
//
//   linear     Tensor transpose(const Tensor& g, const Tensors& in, int i): cotangent of input i; reads shapes and dtypes only
//   bilinear   Tensor wrt0(g, b, a), Tensor wrt1(g, a, b): cotangent of one factor from the other; of the last only the shape.
//              Further inputs are added to the product: a bias (c), or a row a sample (n, c), and an addend of its shape.
//              wrt0(g, b, a, so_far) adds what has arrived for that factor before, if that is defined
//   pointwise  Tensor slope(x, y): dy/dx, with `static constexpr bool slope_reads_output` saying which of the two it reads
//   composite  Tensor spec(in): the definition in plain ops. `forward` may be missing. Optional `fast_vjp(in, g, wanted)`:
//              kernels for the first derivative; everything else is answered by spec. fast_vjp(in, g, wanted, so_far) may take
//              what has arrived for an input before (Rule::vjp)
//   flat       `static constexpr bool flat = true`: piecewise constant, no derivative
//
// forward(in...) and spec(in...) take the inputs one by one, or all as one Tensors.
#pragma once

#include <memory>
#include <utility>

#include "autodiff/tape.h"
#include "autodiff/transform.h"
#include "core/profile.h"

namespace costate {

template <class Op>
concept LinearOp = requires(const Op& op, const Tensor& g, const Tensors& in) {
  op.transpose(g, in, 0);
};
template <class Op>
concept BilinearOp = requires {
  &Op::wrt0, &Op::wrt1;
};
template <class Op>
concept PointwiseOp = requires(const Op& op, const Tensor& t) {
  op.slope(t, t), Op::slope_reads_output;
};
template <class Op>
concept CompositeOp = requires {
  &Op::spec;
};
template <class Op>
concept FlatOp = requires {
  requires Op::flat;
};
template <class Op>
concept HasFastVjp = requires {
  &Op::fast_vjp;
};

namespace detail {

/// f(in), f(in[0]), f(in[0], in[1]) ... : whichever exists for the number of inputs.
template <class F>
Tensor spread(const F& f, const Tensors& in) {
  if constexpr (std::invocable<F, Tensors>)
    return f(in);
  else if constexpr (std::invocable<F, Tensor>)
    return f(in[0]);
  else if constexpr (std::invocable<F, Tensor, Tensor>)
    return f(in[0], in[1]);
  else if constexpr (std::invocable<F, Tensor, Tensor, Tensor>)
    return f(in[0], in[1], in[2]);
  else
    return f(in[0], in[1], in[2], in[3]);
}

Tensor multiply(const Tensor& a, const Tensor& b);  // mul, spelt here so that ops need not include one another
Tensor sum_of(const Tensor& a, const Tensor& b);    // add; either may be undefined
Tensor added_cotangent(const Tensor& g, const Shape& added);  // what a bias or an addend is told of g (n, ..., c)
Tensor with_added(const Tensor& y, const Tensor& added, const Shape& product);  // y may be undefined

template <class Op>
Tensor run_forward(const Op& op, const Tensors& in) {
  return spread(
      [&](auto&&... t) -> Tensor requires requires { op.forward(t...); } { return op.forward(t...); }, in);
}
template <class Op>
Tensor run_spec(const Op& op, const Tensors& in) {
  return spread(
      [&](auto&&... t) -> Tensor requires requires { op.spec(t...); } { return op.spec(t...); }, in);
}

}  // namespace detail

template <class Op>
class OpRule final : public Rule {
 public:
  explicit OpRule(Op op) : op_(std::move(op)) {}
  [[nodiscard]] const char* name() const override { return Op::name; }

  [[nodiscard]] Wanted reads(const Wanted& wanted) const override {
    if constexpr (BilinearOp<Op>) {
      Wanted factors(wanted.size() + 1, false);
      factors[0] = wanted[1], factors[1] = wanted[0];
      return factors;
    } else if constexpr (PointwiseOp<Op>)
      return {!Op::slope_reads_output, Op::slope_reads_output};
    else {
      Wanted inputs(wanted.size() + 1, CompositeOp<Op>);
      inputs.back() = false;
      return inputs;
    }
  }

  [[nodiscard]] Tensors vjp(const Tensors& in, const Tensors& out, const Tensors& gs, const Wanted& wanted,
                            Tensors& so_far) const override {
    const Tensor& g = gs[0];
    if constexpr (LinearOp<Op>) {
      Tensors back(in.size());
      for (std::size_t i = 0; i < in.size(); ++i) {
        if (wanted[i]) back[i] = op_.transpose(g, in, static_cast<int>(i));
      }
      return back;
    } else if constexpr (BilinearOp<Op>) {
      Tensors back{wanted[0] ? wrt0(g, in, so_far[0]) : Tensor(), wanted[1] ? op_.wrt1(g, in[0], in[1]) : Tensor()};
      for (std::size_t i = 2; i < in.size(); ++i)
        back.push_back(wanted[i] ? detail::added_cotangent(g, in[i].shape()) : Tensor());
      return back;
    } else if constexpr (PointwiseOp<Op>) {
      return {detail::multiply(g, op_.slope(in[0], out[0]))};
    } else {
      static_assert(CompositeOp<Op>, "an op needs one of: transpose, wrt0 and wrt1, slope, spec, flat");
      if constexpr (HasFastVjp<Op>) {
        Tensors all = in;
        all.push_back(g);
        if (!watched(all)) {
          const ProfileScope scope(fast_vjp_name());
          return fast_vjp(in, g, wanted, so_far);
        }
      }
      return costate::vjp([this](const Tensors& t) { return Tensors{detail::run_spec(op_, t)}; }, in, wanted)
          .pull_once({g});
    }
  }

  [[nodiscard]] Tensors jvp(const Tensors& in, const Tensors& out, const Tensors& v) const override {
    if constexpr (LinearOp<Op>) {
      Tensors full = v;
      for (std::size_t i = 0; i < in.size(); ++i) {
        if (!full[i].defined()) full[i] = Tensor::zeros(in[i].shape(), in[i].kind());
      }
      return {apply_again(full)};
    } else if constexpr (BilinearOp<Op>) {
      Tensor sum = detail::sum_of(v[0].defined() ? apply_again({v[0], in[1]}) : Tensor(),
                                  v[1].defined() ? apply_again({in[0], v[1]}) : Tensor());
      for (std::size_t i = 2; i < in.size(); ++i)
        if (v[i].defined()) sum = detail::with_added(sum, v[i], out[0].shape());
      return {sum};
    } else if constexpr (PointwiseOp<Op>) {
      return {detail::multiply(v[0], op_.slope(in[0], out[0]))};
    } else {
      return costate::jvp([this](const Tensors& t) { return Tensors{detail::run_spec(op_, t)}; }, in, v).second;
    }
  }

 private:
  static const char* fast_vjp_name() {
    static const std::string name = std::string(Op::name) + "_vjp";
    return name.c_str();
  }
  [[nodiscard]] Tensor wrt0(const Tensor& g, const Tensors& in, Tensor& so_far) const {
    if constexpr (requires { op_.wrt0(g, g, g, g); })
      return op_.wrt0(g, in[1], in[0], std::exchange(so_far, {}));
    else
      return op_.wrt0(g, in[1], in[0]);
  }
  [[nodiscard]] Tensors fast_vjp(const Tensors& in, const Tensor& g, const Wanted& wanted, Tensors& so_far) const {
    if constexpr (requires { op_.fast_vjp(in, g, wanted, so_far); }) {
      Tensors none(in.size());  // what another recording watches must not go into a kernel
      return op_.fast_vjp(in, g, wanted, watched(so_far) ? none : so_far);
    } else {
      return op_.fast_vjp(in, g, wanted);
    }
  }
  [[nodiscard]] Tensor apply_again(const Tensors& in) const;
  Op op_;
};

/// Tells the recordings that watch one of `in` that the op made `out` of them.
template <class Op>
Tensor tell(const Op& op, const Tensors& in, Tensor out) {
  return watched(in) ? note(std::make_shared<const OpRule<Op>>(op), in, {std::move(out)})[0] : out;
}

/// (Not `apply`: std::apply would be found first for a vector of tensors.) Runs an op on its inputs and tells the recordings that watch one of them.
template <class Op>
Tensor apply_op(const Op& op, const Tensors& in) {
  for (const auto& t : in) require(t.defined(), "{}: an operand is undefined", Op::name);
  if constexpr (requires { &Op::forward; }) {
    Tensor out = [&] {
      const ActiveLevels none(0);
      const ProfileScope scope(Op::name);
      return detail::run_forward(op, in);
    }();
    if constexpr (FlatOp<Op>)
      return out;
    else
      return tell(op, in, std::move(out));
  } else {
    return detail::run_spec(op, in);
  }
}

template <class Op>
Tensor OpRule<Op>::apply_again(const Tensors& in) const {
  return apply_op(op_, in);
}

}  // namespace costate
