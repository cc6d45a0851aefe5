// The sequences that tiny autoencoders are.
#include "nn/tiny_sequence.h"

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/tanh.h"
#include "nn/resampling.h"

namespace costate {
namespace {

constexpr std::int64_t pool_groups = 4;

TinyBlock block_of(const KeyShapes& keys, const std::string& at, Activation activation) {
  TinyBlock b{
      conv_of(keys, at + ".conv.0"), conv_of(keys, at + ".conv.2"), conv_of(keys, at + ".conv.4"), {}, {}, activation};
  if (keys.count(at + ".skip.weight") != 0) b.skip = conv_of(keys, at + ".skip");
  if (keys.count(at + ".pool.0.weight") != 0)
    b.pool = {linear_of(keys, at + ".pool.0"), linear_of(keys, at + ".pool.3"),
              group_norm_of(keys, at + ".pool.1", pool_groups, 1e-5)};
  return b;
}

}  // namespace

Tensor TinyPool::operator()(const Tensor& x) const { return add(x, narrow(relu(norm(widen(x))))); }

Tensor TinyBlock::operator()(const Tensor& in) const {
  const Tensor x = pool ? (*pool)(in) : in;
  const Tensor h = activate(activation, conv_2(activate(activation, conv_0(x))));
  return relu(add(conv_4(h), skip ? (*skip)(x) : x));
}

Tensor TinyStep::operator()(const Tensor& x) const {
  switch (kind) {
    case Kind::clamp:
      return within_three(x);
    case Kind::activation:
      return activate(activation, x);
    case Kind::up:
      return resample(Resampling::nearest_up, x);
    case Kind::conv:
      return (*conv)(x);
    case Kind::block:
      return (*block)(x);
  }
  fail("tiny autoencoder: unknown step {}", static_cast<int>(kind));
}

Tensor within_three(const Tensor& x) { return 3 * tanh(x / 3); }

Tensor through(const TinySteps& steps, Tensor x) {
  for (const auto& step : steps) x = step(x);
  return x;
}

TinySteps tiny_steps_of(const KeyShapes& keys, const std::string& prefix, bool encodes, Activation activation) {
  const auto place = [&](std::size_t i) { return join_key(prefix, std::to_string(i)); };
  const auto is_conv = [&](std::size_t i) { return keys.count(place(i) + ".weight") != 0; };
  const auto is_block = [&](std::size_t i) { return keys.count(place(i) + ".conv.0.weight") != 0; };
  TinySteps steps;
  // Two places without keys never follow each other.
  for (std::size_t i = 0; is_conv(i) || is_block(i) || is_conv(i + 1) || is_block(i + 1); ++i) {
    TinyStep step;
    step.activation = activation;
    if (is_block(i)) {
      step.kind = TinyStep::Kind::block;
      step.block = block_of(keys, place(i), activation);
    } else if (is_conv(i)) {
      step.kind = TinyStep::Kind::conv;
      const Shape w = shape_of(keys, place(i) + ".weight", 4);
      ConvGeometry how = same_padding(w[2], w[3]);
      const bool activated = !is_conv(i + 1) && !is_block(i + 1) && (is_conv(i + 2) || is_block(i + 2));
      if (encodes && (activated || keys.count(place(i) + ".bias") == 0)) how.stride_h = how.stride_w = 2;
      step.conv = conv_of(keys, place(i), how);
    } else if (i > 0) {
      step.kind = steps.back().kind == TinyStep::Kind::conv ? TinyStep::Kind::activation : TinyStep::Kind::up;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace costate
