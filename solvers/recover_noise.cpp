// The noise of a stochastic sampler from the states it is to pass: its steps are affine in their noise.
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/reshape.h"
#include "solvers/encode.h"
#include "solvers/forward.h"

namespace costate {
namespace {

/// A network that answers the calls of a step once and, when the step is run again, from memory.
class Remembering {
 public:
  explicit Remembering(Net net) : net_(std::move(net)) {}

  void again() { next_ = 0; }
  Tensor operator()(const Tensor& x, const Level& at, const Tensors& p) {
    if (next_ < calls_.size()) {
      const auto& [input, output] = calls_[next_++];
      require(input.to_vector() == x.to_vector(),
              "recover noise: this sampler evaluates the network after its draw; take ddim, ddpm or sde-dpmpp-2m");
      return output;
    }
    ++next_;
    calls_.emplace_back(x, net_(x, at, p));
    return calls_.back().second;
  }

 private:
  Net net_;
  std::vector<std::pair<Tensor, Tensor>> calls_;
  std::size_t next_ = 0;
};

/// One step of the sampler, to be run with several noises for one evaluation of the network.
class Repeated {
 public:
  Repeated(const Sampler& sampler, int index, const State& state, const Tensors& p)
      : sampler_(sampler), network_(sampler.denoiser.net), index_(index), state_(state), p_(p) {
    sampler_.denoiser.net = [this](const Tensor& x, const Level& at, const Tensors& q) { return network_(x, at, q); };
  }

  State with(const Tensor& z) {
    network_.again();
    draws_ = 0;
    sampler_.noise = [&](const Draw&, const Tensor&) { return ++draws_, z; };
    return sampler_.step(index_, state_, p_);
  }
  [[nodiscard]] int draws() const { return draws_; }

 private:
  Sampler sampler_;
  Remembering network_;
  int index_;
  const State& state_;
  const Tensors& p_;
  int draws_ = 0;
};

/// 1 / (y(z = 1) - y(z = 0)), element by element.
Tensor inverse_deviation(const Tensor& y_1, const Tensor& y_0, const std::string& sampler) {
  const Tensor up = y_1 - y_0;
  for (const double v : up.to_vector())
    require(v != 0, "recover noise: {} draws noise that it does not use; take ddim, ddpm or sde-dpmpp-2m", sampler);
  return reciprocal(up);
}

Tensor with_front(const Tensor& t) { return reshape(t, t.shape().with_front(1)); }

}  // namespace

std::vector<Tensor> states_to(const Sampler& sampler, const Tensor& x_0, Way way, const Noise& noise) {
  std::vector<Tensor> x;
  const auto noised_at = [&](std::size_t k) {
    return noised(x_0, noise({.step = static_cast<int>(k) - 1}, x_0), sampler.grid[k]);
  };
  x.push_back(noised_at(0));
  Sampler knowing = sampler;
  knowing.denoiser = {.net = [x_0](const Tensor&, const Level&, const Tensors&) { return x_0; },
                      .prediction = Prediction::sample,
                      .dtype = x_0.dtype()};
  knowing.noise = noise;
  State state = sampler.start(x[0]);
  for (int i = 0; i + 1 < sampler.steps(); ++i) {
    if (way == Way::independent) {
      x.push_back(noised_at(static_cast<std::size_t>(i) + 1));
    } else {
      state = knowing.step(i, state, {});
      x.push_back(sampler.x_at(i + 1, state));
    }
  }
  x.push_back(x_0);
  return x;
}

Tensor recover_noise(const Sampler& sampler, const std::vector<Tensor>& states, const Tensors& p,
                     const Progress& progress) {
  require(static_cast<int>(states.size()) == sampler.steps() + 1, "recover noise: {} states for {} levels",
          states.size(), sampler.steps() + 1);
  Tensors found;
  State state = sampler.start(states[0]);
  for (int i = 0; i < sampler.steps(); ++i) {
    const Tensor zero = Tensor::zeros(state.y.shape(), state.y.kind());
    Repeated step(sampler, i, state, p);
    State next = step.with(zero);
    if (step.draws() > 0) {
      require(step.draws() == 1, "recover noise: {} draws {} times in a step; take a sampler that draws once",
              sampler.stepper.name, step.draws());
      const double scale = sampler.grid[static_cast<std::size_t>(i) + 1].scale();
      const Tensor target = states[static_cast<std::size_t>(i) + 1] / scale;
      const Tensor inverse =
          inverse_deviation(step.with(Tensor::full(zero.shape(), 1, zero.kind())).y, next.y, sampler.stepper.name);
      Tensor z = (target - next.y) * inverse;
      next = step.with(z);
      z = z + (target - next.y) * inverse;  // what the rounding of `inverse` left
      next.y = target;
      found.push_back(with_front(z));
    }
    state = next;
    report(progress, i + 1, sampler.steps());
  }
  require(!found.empty(), "recover noise: {} draws none; take eta > 0, or encode for deterministic samplers",
          sampler.stepper.name);
  return concat(found, 0);
}

}  // namespace costate
