// What the tape keeps and which functions run again: frozen weights, checkpoint, custom_derivative, captured values.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/add.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sin.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/memory.h"
#include "tests/support/inputs.h"

using namespace costate;

namespace {

const auto names = [](const char* what) {
  return [what](const Error& e) { return std::string(e.what()).find(what) != std::string::npos; };
};

Tensor point() { return Tensor::from({0.3, -0.7, 1.1}, {3}); }

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

struct Counts {
  int calls = 0, pulls = 0;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(frozen_weights_keep_no_activations) {
  BOOST_TEST(kept_by_convolutions({true, false}) == 0);
  BOOST_TEST(kept_by_convolutions({true, true}) == 4 * image_bytes);  // the first input is the caller's own
}

BOOST_AUTO_TEST_CASE(only_wanted_gradients_are_computed) {
  const Tensor x = Tensor::full({1, 16, 16, 8}, 0.5), w = Tensor::full({3, 3, 8, 8}, 0.01);
  const Tensor g = Tensor::full({1, 16, 16, 8}, 1);
  const Tensors back =
      vjp([](const Tensors& in) { return Tensors{conv2d(in[0], in[1], same_padding(3, 3))}; }, {x, w}, {true, false})
          .pull({g});
  BOOST_TEST(back[0].defined());
  BOOST_TEST(!back[1].defined());
}

BOOST_AUTO_TEST_CASE(pull_once_frees_as_it_goes) {
  const Tensor x = Tensor::full({1 << 16}, 0.5);
  const std::int64_t one = 4 << 16;
  const auto peak_of = [&](bool once) {
    const Vjp at = vjp(
        [](const Tensors& in) {
          Tensor h = in[0];
          for (int i = 0; i < 20; ++i) h = sin(h);
          return Tensors{h};
        },
        {x});
    const Tensor g = Tensor::full(x.shape(), 1);
    const Tensors back = once ? at.pull_once({g}) : at.pull({g});
    return memory_use().live;  // with the gradient and whatever the tape still holds
  };
  const std::int64_t kept = peak_of(false), freed = peak_of(true);
  BOOST_TEST(kept - freed == 19 * one);  // x_1 ... x_19; x_0 is the caller's
}

BOOST_AUTO_TEST_CASE(checkpoint_runs_once_more_per_pull) {
  auto counts = std::make_shared<Counts>();
  const Function f = [counts](const Tensors& in) {
    ++counts->calls;
    return Tensors{mul(in[0], sin(in[0]))};
  };
  const Vjp at = vjp([&](const Tensors& in) { return checkpoint(f, in); }, {point()});
  BOOST_TEST(counts->calls == 1);
  const Tensor g = Tensor::full({3}, 1, DType::f64);
  const Tensors found = at.pull({g});
  BOOST_TEST(counts->calls == 2);
  BOOST_TEST(same_bits(found[0], vjp(f, {point()}).pull({g})[0]));
  static_cast<void>(checkpoint(f, {point()}));  // nobody watches: a plain call
  BOOST_TEST(counts->calls == 4);
}

BOOST_AUTO_TEST_CASE(checkpoint_keeps_its_inputs_only) {
  const Tensor x = Tensor::full({1 << 16}, 0.5);
  const Function chain = [](const Tensors& in) {
    Tensor h = in[0];
    for (int i = 0; i < 20; ++i) h = sin(h);
    return Tensors{h};
  };
  const std::int64_t before = memory_use().live;
  const Vjp at = vjp([&](const Tensors& in) { return checkpoint(chain, in); }, {x});
  BOOST_TEST(memory_use().live - before == 4 << 16);  // the value
}

BOOST_AUTO_TEST_CASE(second_derivatives_through_checkpoint) {
  const Function f = [](const Tensors& in) { return Tensors{mul(square(in[0]), sin(in[0]))}; };
  const auto plain = [&](const Tensors& in) { return sum(f(in)[0]); };
  const auto kept = [&](const Tensors& in) { return sum(checkpoint(f, in)[0]); };
  const Tensor v = Tensor::from({1, 2, 3}, {3});
  BOOST_TEST(same_bits(hvp(kept, {point()}, {v})[0], hvp(plain, {point()}, {v})[0]));
  const auto curve = [&](const auto& function) {
    return vjp([&](const Tensors& in) { return value_and_grad(function, in).second; }, {point()}).pull({v})[0];
  };
  BOOST_TEST(same_bits(curve(kept), curve(plain)));
}

BOOST_AUTO_TEST_CASE(custom_derivatives_are_called_and_differentiate) {
  auto counts = std::make_shared<Counts>();
  const auto cube = [counts](const Tensors& in) {
    return custom_derivative(
        "cube",
        [counts](const Tensors& t) {
          ++counts->calls;
          return Tensors{mul(square(t[0]), t[0])};
        },
        [counts](const Tensors& t, const Tensors&, const Tensors& g) {
          ++counts->pulls;
          return Tensors{mul(g[0], scale(square(t[0]), 3))};
        },
        in)[0];
  };
  const auto total = [&](const Tensors& in) { return sum(cube(in)); };
  const Tensor x = Tensor::from({2}, {1}), one = Tensor::full({1}, 1, DType::f64);
  BOOST_TEST(value_and_grad(total, {x}).second[0].item() == 12);
  BOOST_TEST(counts->calls == 1);
  BOOST_TEST(counts->pulls == 1);
  // Reverse over reverse passes through the rule, which is written with ops.
  BOOST_TEST(vjp([&](const Tensors& in) { return value_and_grad(total, in).second; }, {x}).pull({one})[0].item() == 12);
  BOOST_CHECK_EXCEPTION(static_cast<void>(jvp([&](const Tensors& in) { return Tensors{cube(in)}; }, {x}, {one})), Error,
                        names("cube"));
}

BOOST_AUTO_TEST_CASE(captured_values_throw) {
  const Tensor x = point();
  const auto captured = [](const Tensors& outer) {
    return sum(checkpoint([&](const Tensors& in) { return Tensors{mul(in[0], outer[0])}; }, {outer[0]})[0]);
  };
  BOOST_CHECK_EXCEPTION(static_cast<void>(value_and_grad(captured, {x})), Error, names("mul"));
  const auto in_custom = [](const Tensors& outer) {
    return sum(custom_derivative(
        "mine", [&](const Tensors& in) { return Tensors{add(in[0], outer[0])}; },
        [](const Tensors&, const Tensors&, const Tensors& g) { return g; }, {outer[0]})[0]);
  };
  BOOST_CHECK_EXCEPTION(static_cast<void>(value_and_grad(in_custom, {x})), Error, names("add"));
  // A captured constant is fine.
  const auto constant = [&](const Tensors& outer) {
    return sum(checkpoint([&](const Tensors& in) { return Tensors{mul(in[0], x)}; }, {outer[0]})[0]);
  };
  BOOST_TEST(same_bits(value_and_grad(constant, {x}).second[0], x));
}

BOOST_AUTO_TEST_CASE(in_place_writes_throw) {
  const Tensor x = point();
  Tensor held, made = Tensor::zeros({3}, DType::f64);
  made.mutable_data<double>()[0] = 1;  // its maker may
  static_cast<void>(vjp(
      [&](const Tensors& in) {
        held = square(in[0]);
        BOOST_CHECK_EXCEPTION(static_cast<void>(held.mutable_data<double>()), Error, names("immutable"));
        return Tensors{held};
      },
      {x}));
  const Tensor other = made;
  BOOST_CHECK_EXCEPTION(static_cast<void>(made.mutable_data<double>()), Error, names("immutable"));
}

BOOST_AUTO_TEST_SUITE_END()
