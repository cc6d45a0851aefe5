// The transforms, on top of the tape.
#include "autodiff/transform.h"

namespace costate {

Vjp vjp(const Function& f, const Tensors& inputs, Wanted wanted) {
  if (wanted.empty()) wanted.assign(inputs.size(), true);
  require(wanted.size() == inputs.size(), "vjp: {} flags for {} inputs", wanted.size(), inputs.size());
  Vjp result;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    require(!wanted[i] || is_floating(inputs[i].dtype()), "vjp: input {} holds {}, which has no derivative", i,
            name_of(inputs[i].dtype()));
    result.in_.push_back(wanted[i] ? alias(inputs[i]) : inputs[i]);
  }
  result.wanted_ = std::move(wanted);
  result.tape_ = std::make_shared<Recording>(Recording::Mode::reverse);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (result.wanted_[i]) result.tape_->watch(result.in_[i]);
  }
  result.value = f(result.in_);
  result.tape_->close();
  for (const auto& t : result.value) result.out_.push_back(t.ghost());
  for (auto& t : result.in_) t = t.ghost();
  return result;
}

Tensors Vjp::run(const Tensors& g, bool consume) const {
  require(tape_ != nullptr, "vjp: nothing was recorded to pull back through; make it with vjp(f, inputs)");
  require(!spent_, "vjp: pull_once was called before; the tape is gone");
  spent_ = consume;
  require(g.size() == out_.size(), "vjp: {} cotangents for {} outputs", g.size(), out_.size());
  for (std::size_t i = 0; i < g.size(); ++i) {
    if (g[i].defined()) require_same("vjp (cotangent against output)", g[i], out_[i]);
  }
  Tensors watched_inputs;
  for (std::size_t i = 0; i < in_.size(); ++i) {
    if (wanted_[i]) watched_inputs.push_back(in_[i]);
  }
  const Tensors found = tape_->backward(out_, g, watched_inputs, consume);
  Tensors all(in_.size());
  for (std::size_t i = 0, k = 0; i < in_.size(); ++i) {
    if (wanted_[i]) all[i] = found[k++];
  }
  return all;
}

Tensors Vjp::filled(Tensors found) const {
  for (std::size_t i = 0; i < in_.size(); ++i) {
    if (wanted_[i] && !found[i].defined()) found[i] = Tensor::zeros(in_[i].shape(), in_[i].kind());
  }
  return found;
}

std::pair<Tensors, Tensors> jvp(const Function& f, const Tensors& inputs, const Tensors& tangents) {
  require(tangents.size() == inputs.size(), "jvp: {} tangents for {} inputs", tangents.size(), inputs.size());
  Tensors in;
  for (const auto& t : inputs) in.push_back(alias(t));
  Recording carry(Recording::Mode::forward);
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!tangents[i].defined()) continue;
    require_same("jvp (tangent against input)", tangents[i], inputs[i]);
    carry.watch(in[i], tangents[i]);
  }
  const Tensors value = f(in);
  carry.close();
  Tensors v;
  for (const auto& t : value) {
    const Tensor found = carry.tangent(t);
    v.push_back(found.defined() ? found : Tensor::zeros(t.shape(), t.kind()));
  }
  return {value, v};
}

std::pair<Tensor, Tensors> value_and_grad(const std::function<Tensor(const Tensors&)>& f, const Tensors& inputs) {
  const Vjp at = vjp([&](const Tensors& t) { return Tensors{f(t)}; }, inputs);
  const Tensor& y = at.value[0];
  require(y.size() == 1, "grad: the function returned shape {}, not a scalar; reduce it, or use vjp", y.shape());
  return {y, at.pull_once({Tensor::full(y.shape(), 1, y.kind())})};
}

Tensors hvp(const std::function<Tensor(const Tensors&)>& f, const Tensors& inputs, const Tensors& v) {
  return jvp([&](const Tensors& t) { return value_and_grad(f, t).second; }, inputs, v).second;
}

namespace {

/// f evaluated on unwatched copies, with everything further out walled off.
Tensors evaluate_alone(const Function& f, const Tensors& inputs) {
  Recording barrier(Recording::Mode::barrier);
  Tensors in;
  for (const auto& t : inputs) in.push_back(stop_gradient(t));
  return f(in);
}

Tensors joined(Tensors a, const Tensors& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class CheckpointRule final : public Rule {
 public:
  explicit CheckpointRule(Function f) : f_(std::move(f)) {}
  [[nodiscard]] const char* name() const override { return "checkpoint"; }
  [[nodiscard]] Wanted reads(const Wanted& wanted) const override {
    Wanted all(wanted.size() + 1, true);
    all.back() = false;
    return all;
  }
  [[nodiscard]] Tensors vjp(const Tensors& in, const Tensors&, const Tensors& g, const Wanted& wanted,
                            Tensors& so_far) const override {
    return again(in, wanted).pull(g, so_far);
  }
  [[nodiscard]] bool evaluates_again() const override { return true; }
  [[nodiscard]] Again again(const Tensors& in, const Wanted& wanted) const override {
    // It returns its inputs as well, so that the tape itself adds to what has arrived for them, in the order of one long tape.
    Vjp at = costate::vjp([this](const Tensors& t) { return joined(t, f_(t)); }, in, wanted);
    Tensors out(at.value.begin() + static_cast<std::ptrdiff_t>(in.size()), at.value.end());
    at.value.clear();
    return {std::move(out), [at](const Tensors& g, Tensors& so_far) {
              return at.pull_reached(joined(std::exchange(so_far, Tensors(so_far.size())), g));
            }};
  }
  [[nodiscard]] Tensors jvp(const Tensors& in, const Tensors&, const Tensors& v) const override {
    return costate::jvp(f_, in, v).second;
  }

 private:
  Function f_;
};

class CustomRule final : public Rule {
 public:
  CustomRule(const char* name, Pullback pullback, Function in_ops)
      : name_(name), pullback_(std::move(pullback)), in_ops_(std::move(in_ops)) {}
  [[nodiscard]] const char* name() const override { return name_; }
  [[nodiscard]] Wanted reads(const Wanted& wanted) const override { return Wanted(wanted.size() + 1, true); }
  [[nodiscard]] Tensors vjp(const Tensors& in, const Tensors& out, const Tensors& g, const Wanted&,
                            Tensors&) const override {
    Tensors full = g;
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!g[i].defined()) full[i] = Tensor::zeros(out[i].shape(), out[i].kind());
    }
    Tensors back = pullback_(in, out, full);
    require(back.size() == in.size(), "{}: the given rule returned {} cotangents for {} inputs", name_, back.size(),
            in.size());
    return back;
  }
  [[nodiscard]] Tensors jvp(const Tensors& in, const Tensors&, const Tensors& v) const override {
    require(in_ops_ != nullptr, "{}: has a rule for vjp only; differentiate it in reverse mode", name_);
    return costate::jvp(in_ops_, in, v).second;
  }

 private:
  const char* name_;
  Pullback pullback_;
  Function in_ops_;
};

}  // namespace

Tensors checkpoint(const Function& f, const Tensors& inputs) {
  return note(std::make_shared<const CheckpointRule>(f), inputs, evaluate_alone(f, inputs));
}

Tensors custom_derivative(const char* name, const Function& f, const Pullback& pullback, const Tensors& inputs,
                          const Function& in_ops) {
  return note(std::make_shared<const CustomRule>(name, pullback, in_ops), inputs, evaluate_alone(f, inputs));
}

Tensor stop_gradient(const Tensor& t) { return t.with_id(0); }

}  // namespace costate
