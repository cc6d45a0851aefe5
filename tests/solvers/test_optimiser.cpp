// Optimisers: the first steps by hand, a state that is all they remember, what is refused; averages.
#include "solvers/optimiser.h"

#include "autodiff/check.h"
#include "autodiff/ops/cast.h"
#include "core/random.h"
#include "tests/solvers/problems.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"

namespace costate {
namespace {

const Optimiser adam{.rate = 0.1}, sgd{.kind = Optimiser::Kind::sgd, .rate = 0.1, .momentum = 0.5};

/// Numbers of their own for every step, of three values.
Tensors numbers(std::uint32_t step, DType dtype) {
  Tensors all;
  for (const Shape& shape : {Shape{3, 5}, Shape{7}, Shape{2, 0}})
    all.push_back(cast(normal_noise(3, all.size(), 1, step, shape, DType::f32), dtype));
  return all;
}

BOOST_AUTO_TEST_SUITE(optimisers)

BOOST_AUTO_TEST_CASE(first_steps_by_hand) {
  const Tensors x{row_of({1, -2})}, g{row_of({0.5, -0.25})};
  Optimiser::State state;
  const Tensors one = sgd.step(x, g, state), two = sgd.step(one, g, state);
  check_near(one[0], {0.95, -1.975}, 1e-15);
  check_near(two[0], {0.875, -1.9375}, 1e-15);
  // Adam's first step is the rate in the direction of the sign, its second with equal gradients the same again.
  state = {};
  const Tensors first = adam.step(x, g, state), second = adam.step(first, g, state);
  check_near(first[0], {0.9, -1.9}, 1e-7);
  check_near(second[0], {0.8, -1.8}, 1e-7);
  BOOST_TEST(adam.step(x, {Tensor()}, state)[0].to_vector() == x[0].to_vector());
  check_throws([] { return optimiser_from("adm"); }, {"adm", "adam"});
}

BOOST_AUTO_TEST_CASE(a_zero_gradient_moves_nothing) {
  const Tensors x{row_of({1, -2})}, zero{row_of({0, 0})};
  Optimiser::State state;
  BOOST_TEST(Optimiser{}.step(x, zero, state)[0].to_vector() == x[0].to_vector());
}

BOOST_AUTO_TEST_CASE(a_state_is_all_that_is_remembered) {
  for (const Optimiser& how : {adam, sgd}) {
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      Optimiser::State state, kept;
      Tensors x = numbers(0, dtype), half;
      for (std::uint32_t step = 1; step <= 6; ++step) {
        if (step == 4) kept = state, half = x;
        x = how.step(x, numbers(step, dtype), state);
      }
      for (std::uint32_t step = 4; step <= 6; ++step) half = how.step(half, numbers(step, dtype), kept);
      BOOST_TEST(kept.steps == 6);
      for (std::size_t i = 0; i < x.size(); ++i) {
        BOOST_TEST((x[i].kind() == Kind(dtype) && x[i].shape() == half[i].shape()));
        BOOST_TEST(same_bits(x[i], half[i]));
        BOOST_TEST(same_bits(state.first[i], kept.first[i]));
        BOOST_TEST((how.kind == Optimiser::Kind::sgd || same_bits(state.second[i], kept.second[i])));
      }
    }
  }
}

// A run may go on in another dtype.
BOOST_AUTO_TEST_CASE(a_state_of_another_dtype_is_taken_over) {
  for (const Optimiser& how : {adam, sgd}) {
    Optimiser::State state;
    Tensors x = how.step(numbers(0, DType::f64), numbers(1, DType::f64), state), coarse;
    for (const auto& t : x) coarse.push_back(cast(t, DType::f32));
    Optimiser::State taken = state;
    x = how.step(x, numbers(2, DType::f64), state);
    coarse = how.step(coarse, numbers(2, DType::f32), taken);
    BOOST_TEST((coarse[0].dtype() == DType::f32 && taken.first[0].dtype() == DType::f32));
    BOOST_TEST(relative_difference(coarse[0], x[0]) <= tolerance::rounding(DType::f32, 1));
  }
}

// In bf16 itself a second moment would stay where it is: 0.999 of it rounds to it.
BOOST_AUTO_TEST_CASE(moments_of_bf16_decay) {
  const Tensor large = Tensor::full({2}, 4, DType::bf16), none = Tensor::zeros({2}, DType::bf16);
  Optimiser::State state;
  Tensors x = adam.step({none}, {large}, state);
  const double first = state.second[0].to_vector()[0];
  for (int step = 0; step < 100; ++step) x = adam.step(x, {none}, state);
  BOOST_TEST(
      (x[0].dtype() == DType::bf16 && state.first[0].dtype() == DType::f32 && state.second[0].dtype() == DType::f32));
  BOOST_TEST(state.second[0].to_vector()[0] / first == std::pow(0.999, 100), boost::test_tools::tolerance(1e-5));
}

// x after two steps down x^4 / 4, in x and in a factor of its gradient: what learning to learn asks for.
BOOST_AUTO_TEST_CASE(steps_can_be_differentiated) {
  for (const Optimiser& how : {adam, sgd}) {
    const Function two_steps = [&](const Tensors& in) {
      Optimiser::State state;
      Tensors x{in[0]};
      for (int step = 0; step < 2; ++step) x = how.step(x, {in[1] * (x[0] * (x[0] * x[0]))}, state);
      return x;
    };
    const auto seen = check_derivatives(two_steps, {row_of({0.9, -1.3, 0.7}), row_of({1.1, 0.8, 1.4})});
    BOOST_TEST(seen.difference <= tolerance::difference(DType::f64, 1));
    BOOST_TEST(seen.second_difference <= tolerance::difference(DType::f64, 1));
    BOOST_TEST(seen.duality <= tolerance::rounding(DType::f64, 1));
    BOOST_TEST(seen.second_duality <= tolerance::rounding(DType::f64, 1));
  }
}

BOOST_AUTO_TEST_CASE(gradients_that_do_not_fit_are_refused) {
  for (const Optimiser& how : {adam, sgd}) {
    const Tensor x = Tensor::zeros({2, 3});
    Optimiser::State state;
    check_throws([&] { return how.step({x}, {}, state); }, {"optimiser", "0 gradients for 1 values"});
    check_throws([&] { return how.step({x}, {Tensor::zeros({2, 1})}, state); }, {"optimiser", "(2, 3)", "(2, 1)"});
    check_throws(
        [&] {
          return how.step({x}, {Tensor::zeros({2, 3}, DType::f64)}, state);
        },
        {"optimiser", "f32", "f64"});
    check_throws([&] { return how.step({x, x}, {x, Tensor::zeros({3})}, state); }, {"optimiser", "(3)"});
    BOOST_TEST((state.steps == 0 && state.first.empty() && state.second.empty()));
  }
}

BOOST_AUTO_TEST_CASE(averages_of_values) {
  const Tensors x{row_of({1, -2}), Tensor::full({3}, 1, DType::bf16)},
      y{row_of({3, 2}), Tensor::full({3}, 2, DType::bf16)};
  const Tensors began = average({}, x, 0.75), next = average(began, y, 0.75);
  BOOST_TEST(same_bits(began[0], x[0]));
  check_near(next[0], {1.5, -1}, 1e-15);
  BOOST_TEST((next[1].dtype() == DType::f32));
  check_near(next[1], {1.25, 1.25, 1.25}, 1e-7);
  // Slow averages of bf16 move.
  BOOST_TEST(average(began, y, 0.9999)[1].to_vector()[0] > 1);
  check_throws([&] { return average(began, {y[0]}, 0.5); }, {"average", "2", "1"});
  check_throws([&] { return average({x[1]}, {y[1]}, 0.5); }, {"average", "bf16", "f32"});
  check_throws([&] { return average({row_of({1})}, {x[0]}, 0.5); }, {"average", "(1, 1)", "(1, 2)"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
