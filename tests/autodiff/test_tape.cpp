// The tape and the transforms: depth, nesting, what is kept, how often functions run, and misuse.
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cmath>

#include "autodiff/check.h"
#include "autodiff/ops/add.h"
#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/sin.h"
#include "autodiff/ops/sum.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"

using namespace costate;

namespace {

const auto names = [](const char* what) {
  return [what](const Error& e) { return std::string(e.what()).find(what) != std::string::npos; };
};

Tensor point() { return Tensor::from({0.3, -0.7, 1.1}, {3}); }

/// sum(x^2 sin x): gradient 2 x sin x + x^2 cos x.
Tensor wavy(const Tensors& in) { return sum(square(in[0]) * sin(in[0])); }

double wavy_slope(double x) { return 2 * x * std::sin(x) + x * x * std::cos(x); }
double wavy_curve(double x) { return (2 - x * x) * std::sin(x) + 4 * x * std::cos(x); }

struct Line {
  Tensor slope, offset;
  static void fields(auto& self, auto&& visit) {
    visit("slope", self.slope);
    visit("offset", self.offset);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(tape)

BOOST_AUTO_TEST_CASE(a_million_records) {
  constexpr int depth = 1'000'000;
  const auto start = std::chrono::steady_clock::now();
  {
    const Vjp chain = vjp(
        [](const Tensors& in) {
          Tensor x = in[0];
          for (int i = 0; i < depth; ++i) x = scale(x, i % 2 == 0 ? 2 : 0.5);
          return Tensors{x};
        },
        {point()});
    BOOST_TEST(same_bits(chain.pull({Tensor::full({3}, 1, DType::f64)})[0], Tensor::full({3}, 1, DType::f64)));
  }  // the million records are freed here: by recursion the stack would end
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  BOOST_TEST(took.count() < 60);
}

BOOST_AUTO_TEST_CASE(gradient_of_a_gradient) {
  const Tensor x = point();
  const auto slope = [](const Tensors& in) { return value_and_grad(wavy, in).second; };
  const auto g = slope({x})[0].to_vector();
  const Tensor v = Tensor::from({1, -2, 0.5}, {3});
  const auto forward_over_reverse = hvp(wavy, {x}, {v})[0].to_vector();
  const auto reverse_over_reverse = vjp(slope, {x}).pull({v})[0].to_vector();
  const auto reverse_over_forward =
      value_and_grad(
          [&](const Tensors& in) { return jvp([](const Tensors& t) { return Tensors{wavy(t)}; }, in, {v}).second[0]; },
          {x})
          .second[0]
          .to_vector();
  const auto at = x.to_vector(), along = v.to_vector();
  const double bound = tolerance::rounding(DType::f64, 1);
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(std::abs(g[i] - wavy_slope(at[i])) <= bound);
    const double exact = wavy_curve(at[i]) * along[i];
    for (const auto& found : {forward_over_reverse, reverse_over_reverse, reverse_over_forward})
      BOOST_TEST(std::abs(found[i] - exact) <= bound);
  }
}

BOOST_AUTO_TEST_CASE(third_derivative) {
  const auto once = [](const Tensors& in) {
    return value_and_grad([](const Tensors& t) { return sum(exp(scale(t[0], 2))); }, in).second;
  };
  const auto twice = [&](const Tensors& in) {
    return value_and_grad([&](const Tensors& t) { return sum(once(t)[0]); }, in).second;
  };
  const auto thrice =
      value_and_grad([&](const Tensors& t) { return sum(twice(t)[0]); }, {point()}).second[0].to_vector();
  const auto at = point().to_vector();
  for (std::size_t i = 0; i < 3; ++i)
    BOOST_TEST(std::abs(thrice[i] / (8 * std::exp(2 * at[i])) - 1) <= tolerance::rounding(DType::f64, 1));
}

/// The derivative of x |-> x * d/dy (x y) at y = 1 is 2 x: an inner derivative must not swallow the outer one's x.
BOOST_AUTO_TEST_CASE(perturbations_are_not_confused) {
  const auto outer = [](const Tensors& x) {
    const Tensor one = Tensor::full({}, 1, DType::f64);
    return x[0] * jvp([&](const Tensors& y) { return Tensors{x[0] * y[0]}; }, {one}, {one}).second[0];
  };
  const Tensor three = Tensor::full({}, 3, DType::f64);
  BOOST_TEST(value_and_grad(outer, {three}).second[0].item() == 6);
  BOOST_TEST(jvp([&](const Tensors& x) { return Tensors{outer(x)}; }, {three}, {Tensor::full({}, 1, DType::f64)})
                 .second[0]
                 .item() == 6);
}

BOOST_AUTO_TEST_CASE(unused_and_repeated_inputs) {
  const Tensor x = point();
  const Tensors g = value_and_grad([](const Tensors& in) { return sum(in[0] * in[0]); }, {x, x}).second;
  BOOST_TEST(g[0].to_vector() == scale(x, 2).to_vector());
  BOOST_TEST(g[1].to_vector() == std::vector<double>(3, 0));
  const Tensors same = vjp([](const Tensors& in) { return Tensors{in[0], in[0]}; }, {x}).pull({x, x});
  BOOST_TEST(same[0].to_vector() == scale(x, 2).to_vector());
}

BOOST_AUTO_TEST_CASE(pulls) {
  const Vjp at = vjp([](const Tensors& in) { return Tensors{square(in[0])}; }, {point()});
  const Tensor g = Tensor::full({3}, 1, DType::f64);
  const Tensor first = at.pull({g})[0];
  BOOST_TEST(same_bits(at.pull({g})[0], first));
  BOOST_TEST(same_bits(at.pull_once({g})[0], first));
  BOOST_CHECK_EXCEPTION(static_cast<void>(at.pull_once({g})), Error, names("pull_once"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(at.pull({g})), Error, names("pull_once"));
}

BOOST_AUTO_TEST_CASE(wrong_calls) {
  const Function f = [](const Tensors& in) { return Tensors{square(in[0])}; };
  const Vjp at = vjp(f, {point()});
  BOOST_CHECK_EXCEPTION(static_cast<void>(at.pull({Tensor::zeros({2}, DType::f64)})), Error, names("vjp"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(at.pull({Tensor::zeros({3})})), Error, names("vjp"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(at.pull({})), Error, names("vjp"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(vjp(f, {point()}, {true, false})), Error, names("vjp"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(vjp(f, {Tensor::zeros({3}, DType::i32)})), Error, names("i32"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(jvp(f, {point()}, {})), Error, names("jvp"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(jvp(f, {point()}, {Tensor::zeros({2}, DType::f64)})), Error, names("jvp"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(value_and_grad([](const Tensors& in) { return in[0]; }, {point()})), Error,
                        names("scalar"));
}

/// A function that throws leaves no recording behind that would watch the next one.
BOOST_AUTO_TEST_CASE(exceptions_close_recordings) {
  for (int i = 0; i < 3; ++i) {
    BOOST_CHECK_THROW(
        static_cast<void>(vjp([](const Tensors& in) { return Tensors{add(in[0], Tensor())}; }, {point()})), Error);
    BOOST_CHECK_THROW(
        static_cast<void>(jvp([](const Tensors& in) { return Tensors{add(in[0], Tensor())}; }, {point()}, {point()})),
        Error);
    BOOST_CHECK_THROW(
        static_cast<void>(checkpoint([](const Tensors& in) { return Tensors{add(in[0], Tensor())}; }, {point()})),
        Error);
  }
  BOOST_TEST(square(point()).id() == 0U);
  BOOST_TEST(value_and_grad(wavy, {point()}).second.size() == 1U);
}

BOOST_AUTO_TEST_CASE(stopped_gradients) {
  const auto g =
      value_and_grad([](const Tensors& in) { return sum(in[0] * stop_gradient(in[0])); }, {point()}).second[0];
  BOOST_TEST(g.to_vector() == point().to_vector());
}

BOOST_AUTO_TEST_CASE(gradients_shaped_like_models) {
  const Line line{Tensor::from({2, 3}, {2}), {}};
  const Tensor x = Tensor::from({5, 7}, {2});
  const auto [value, g] = value_and_grad([&](const Line& l) { return inner(l.slope, x); }, line);
  BOOST_TEST(value.item() == 31);
  BOOST_TEST(g.slope.to_vector() == x.to_vector());
  BOOST_TEST(!g.offset.defined());
}

BOOST_AUTO_TEST_CASE(checks_see_a_wrong_derivative) {
  const Function wrong = [](const Tensors& in) {
    return custom_derivative(
        "twice", [](const Tensors& t) { return Tensors{scale(t[0], 2)}; },
        [](const Tensors&, const Tensors&, const Tensors& g) { return Tensors{scale(g[0], 2 + 1e-6)}; }, in);
  };
  const double off = difference_deviation(wrong, {point()}, {true});
  BOOST_TEST(off > 100 * tolerance::difference(DType::f64, 1));
  BOOST_TEST(off < 1e-6);
  BOOST_TEST(difference_deviation([](const Tensors& in) { return Tensors{scale(in[0], 2)}; }, {point()}, {true}) <
             tolerance::difference(DType::f64, 1));
}

BOOST_AUTO_TEST_SUITE_END()
