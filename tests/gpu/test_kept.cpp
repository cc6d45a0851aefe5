// What the tape keeps on a device that it keeps no longer than the work around it: exact bytes, and the bits of keeping it.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/scale.h"
#include "autodiff/transform.h"
#include "core/memory.h"
#include "nn/attention_block.h"
#include "tests/gpu/repeated.h"

namespace costate {

BOOST_AUTO_TEST_SUITE(gpu_kept)

// q, k and v are made again from x, also where gradients in the weights are wanted, and in a derivative of the derivative.
BOOST_AUTO_TEST_CASE(attention_to_pixels_keeps_its_input_alone) {
  const AttentionBlock plan({.channels = 64, .heads = 2, .head_width = 32, .norm = GroupNorm(64, 4, 1e-5)});
  Tensors weights;
  std::uint64_t seed = 0;
  for (const Tensor& w : leaves(plan)) weights.push_back(scale(noise(++seed, w.shape()), 0.2));
  const auto on = [&](Device device) {
    Tensors all;
    for (const Tensor& w : weights) all.push_back(w.to(device));
    return all;
  };
  const Function f = [&](const Tensors& in) {
    const AttentionBlock block = with_leaves(plan, Tensors(in.begin() + 1, in.end()));
    return Tensors{block(scale(in[0], 1.5))};
  };
  Tensors in{noise(50, {2, 8, 8, 64})};
  in.insert(in.end(), weights.begin(), weights.end());
  Wanted x_alone(in.size(), false);
  x_alone[0] = true;
  static_cast<void>(vjp(f, in, x_alone).pull_once({in[0]}));
  const std::int64_t before = memory_use(Device::cuda).live, image = static_cast<std::int64_t>(in[0].bytes());
  {
    const Vjp at = vjp(f, in, x_alone);
    BOOST_TEST(memory_use(Device::cuda).live - before ==
               2 * image);  // the value, and what the norm and the tokens are of
  }
  const auto gradients = [&](Device device) {
    Tensors here{in[0].to(device)};
    for (const Tensor& w : on(device)) here.push_back(w);
    const Tensor g = noise(60, in[0].shape()).to(device);
    Tensors all = vjp(f, here).pull_once({g});
    const auto slope = [&](const Tensors& t) { return vjp(f, t, x_alone).pull_once({g}); };
    all.push_back(vjp([&](const Tensors& t) { return Tensors{slope(t)[0]}; }, here, x_alone).pull_once({g})[0]);
    return all;
  };
  const Tensors there = gradients(Device::cuda), here = gradients(Device::cpu);
  for (std::size_t i = 0; i < here.size(); ++i) {  // one of them is zero: a bias of keys moves nothing
    const Tensor from = in[i % in.size()].to(Device::cpu);
    BOOST_TEST(relative_difference(from + there[i].to(Device::cpu), from + here[i]) <= 1e-5, "gradient " << i);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
