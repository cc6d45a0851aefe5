// What a chain of ops keeps on the tape, in exact bytes, and what pull_once gives back on the way.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/group_norm.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/silu.h"
#include "autodiff/ops/sin.h"
#include "autodiff/transform.h"
#include "core/memory.h"
#include "tests/support/inputs.h"

using namespace costate;

namespace {

constexpr std::int64_t image_bytes = 1 * 16 * 16 * 8 * 4;

/// Live bytes that a vjp through five convolutions holds beyond its inputs and its value.
std::int64_t kept_by_convolutions(const Wanted& wanted) {
  const Tensor x = Tensor::full({1, 16, 16, 8}, 0.5), w = Tensor::full({3, 3, 8, 8}, 0.01);
  static_cast<void>(conv2d(x, w, same_padding(3, 3)));  // what is packed with the weights stays with them
  const std::int64_t before = memory_use().live;
  const Vjp at = vjp(
      [](const Tensors& in) {
        Tensor h = in[0];
        for (int i = 0; i < 5; ++i) h = conv2d(h, in[1], same_padding(3, 3));
        return Tensors{h};
      },
      {x, w}, wanted);
  return memory_use().live - before - image_bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(frozen_weights_keep_no_activations) {
  BOOST_TEST(kept_by_convolutions({true, false}) == 0);
  BOOST_TEST(kept_by_convolutions({true, true}) == 4 * image_bytes);  // the first input is the caller's own
}

BOOST_AUTO_TEST_CASE(composites_keep_inputs_and_no_output) {
  const Tensor x = Tensor::full({1, 16, 16, 8}, 0.5), ones = Tensor::full({8}, 1), zeros = Tensor::zeros({8});
  const std::int64_t before = memory_use().live;
  const Vjp at =
      vjp([&](const Tensors& in) { return Tensors{sin(group_norm(in[0], ones, zeros, 2, 1e-5, true))}; }, {x});
  // The value, and the norm's result because sin reads it; the input is the caller's own.
  BOOST_TEST(memory_use().live - before == 2 * image_bytes);
  const Vjp twice = vjp(
      [&](const Tensors& in) {
        const Tensor y = group_norm(in[0], ones, zeros, 2, 1e-5, true);
        return Tensors{conv2d(y, Tensor::full({1, 1, 8, 1}, 1), same_padding(1, 1))};
      },
      {x});
  BOOST_TEST(twice.value[0].size() == 256);
  BOOST_TEST(memory_use().live - before - 2 * image_bytes < image_bytes);  // the value and the weights only
}

BOOST_AUTO_TEST_CASE(pull_once_frees_as_it_goes) {
  const Tensor x = Tensor::full({1 << 16}, 0.5);
  const auto live_after = [&](bool once) {
    const Vjp at = vjp(
        [](const Tensors& in) {
          Tensor h = in[0];
          for (int i = 0; i < 20; ++i) h = sin(h);
          return Tensors{h};
        },
        {x});
    const Tensor g = Tensor::full(x.shape(), 1);
    const Tensors back = once ? at.pull_once({g}) : at.pull({g});
    return memory_use().live;
  };
  const auto one = static_cast<std::int64_t>(x.bytes());
  BOOST_TEST(live_after(false) - live_after(true) == 19 * one);  // all arguments of sin but the caller's own x
}

// Two cotangents of one value are added up by the op that makes the second, or when what that was made from is gone.
BOOST_AUTO_TEST_CASE(what_is_read_goes_before_cotangents_are_added) {
  const Tensor x = Tensor::full({1, 64, 64, 64}, 0.5), ones = Tensor::full({64}, 1), zeros = Tensor::zeros({64});
  for (const bool by_the_op : {true, false}) {
    const Vjp at = vjp(
        [&](const Tensors& in) {
          const Tensor h = scale(in[0], 2), n = by_the_op ? group_norm(h, ones, zeros, 2, 1e-5) : silu(h);
          return Tensors{scale(n, 3) + scale(h, 5)};
        },
        {x});
    const Tensor g = Tensor::full(x.shape(), 1);
    const std::int64_t before = memory_use().live;
    reset_peak();
    static_cast<void>(at.pull_once({g}));
    // h is counted already: cotangents of what is scaled by 5, of n and of h. Afterwards h and the second are gone.
    const double images = static_cast<double>(memory_use().peak - before) / static_cast<double>(x.bytes());
    BOOST_TEST((images >= 3 && images < 3.5), images);
  }
}

// Who reads a checkpoint's results on the way back has it evaluated again, once and together with its own way back.
BOOST_AUTO_TEST_CASE(checkpoints_keep_no_results_for_their_readers) {
  const Tensor x = Tensor::full({1000}, 0.5, DType::f64);
  const auto bytes = static_cast<std::int64_t>(x.bytes());
  int runs = 0;
  const Function body = [&](const Tensors& in) { return ++runs, Tensors{sin(in[0]), scale(in[0], 3)}; };
  const auto read = [&](bool checkpointed) {
    return [&body, checkpointed](const Tensors& in) {
      const Tensors at{scale(in[0], 1.5)}, y = checkpointed ? checkpoint(body, at) : body(at);
      return Tensors{sin(y[0]) + exp(y[1]) * y[0]};
    };
  };
  const std::int64_t before = memory_use().live;
  const Vjp plain = vjp(read(false), {x});
  const std::int64_t kept = memory_use().live - before;
  BOOST_TEST(kept == 4 * bytes);  // the value, what the body takes, the sine that it gives, and the exponential
  runs = 0;
  const Vjp at = vjp(read(true), {x});
  BOOST_TEST(memory_use().live - before - kept == 3 * bytes);
  BOOST_TEST(runs == 1);
  for (int pulls = 1; pulls <= 2; ++pulls) {
    BOOST_TEST(same_bits(at.pull({x})[0], plain.pull({x})[0]));
    BOOST_TEST(runs == 1 + pulls);
  }
}

BOOST_AUTO_TEST_SUITE_END()
