// The checks of autodiff/check.h see what they are there to see: a derivative that is slightly wrong, in either order.
#include <boost/test/unit_test.hpp>

#include <cmath>

#include "autodiff/check.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sin.h"
#include "autodiff/ops/sum.h"
#include "core/random.h"
#include "tests/tolerances.h"

using namespace costate;

namespace {

constexpr double slip = 1e-6;

Tensors point() { return {normal_noise(3, 0, 1, 0, {8})}; }

/// exp with the given factor on its derivative.
Function exp_with(double factor) {
  return [factor](const Tensors& in) {
    return custom_derivative(
        "exp", [](const Tensors& t) { return Tensors{exp(t[0])}; },
        [factor](const Tensors& t, const Tensors&, const Tensors& g) {
          return Tensors{scale(mul(g[0], exp(t[0])), factor)};
        },
        in);
  };
}

/// sin whose first derivative is right and whose second is a little off: the rule's cos x is a constant to it.
Function sin_with_stopped_slope() {
  return [](const Tensors& in) {
    return custom_derivative(
        "sin", [](const Tensors& t) { return Tensors{sin(t[0])}; },
        [](const Tensors& t, const Tensors&, const Tensors& g) {
          const Tensor stopped = stop_gradient(vjp([](const Tensors& u) { return Tensors{sin(u[0])}; }, {t[0]})
                                                   .pull_once({Tensor::full(t[0].shape(), 1, DType::f64)})[0]);
          return Tensors{mul(g[0], stopped)};
        },
        in);
  };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(checks)

BOOST_AUTO_TEST_CASE(right_derivatives_pass) {
  const Function f = [](const Tensors& in) { return Tensors{mul(sin(in[0]), exp(in[0])), sum(in[0])}; };
  const DerivativeReport seen = check_derivatives(f, point());
  BOOST_TEST(seen.difference < tolerance::difference(DType::f64, 8));
  BOOST_TEST(seen.second_difference < tolerance::difference(DType::f64, 8));
  BOOST_TEST(seen.duality < tolerance::rounding(DType::f64, 8));
  BOOST_TEST(seen.second_duality < tolerance::rounding(DType::f64, 8));
}

BOOST_AUTO_TEST_CASE(a_slip_of_a_millionth_is_seen) {
  BOOST_TEST(difference_deviation(exp_with(1), point(), {true}) < tolerance::difference(DType::f64, 8));
  const double seen = difference_deviation(exp_with(1 + slip), point(), {true});
  BOOST_TEST(seen > 100 * tolerance::difference(DType::f64, 8));
  BOOST_TEST(seen < 10 * slip);
}

BOOST_AUTO_TEST_CASE(a_wrong_second_derivative_is_seen) {
  const Function f = sin_with_stopped_slope();
  BOOST_TEST(difference_deviation(f, point(), {true}) < tolerance::difference(DType::f64, 8));
  Tensors with_cotangent = point();
  with_cotangent.push_back(normal_noise(4, 0, 1, 0, {8}));
  BOOST_TEST(difference_deviation(pullback_function(f, 1, {true}), with_cotangent, {true, true}) > 1e-3);
}

BOOST_AUTO_TEST_CASE(unequal_modes_are_seen) {
  // Reverse mode of exp_with is off, forward mode of plain exp is right: the two do not fit together.
  const Tensors at = point();
  const Tensor v = normal_noise(5, 0, 1, 0, {8}), g = normal_noise(6, 0, 1, 0, {8});
  const Tensor forward = jvp([](const Tensors& in) { return Tensors{exp(in[0])}; }, at, {v}).second[0];
  const Tensor reverse = vjp(exp_with(1 + slip), at).pull({g})[0];
  BOOST_TEST(std::abs(inner(g, forward).item() - inner(reverse, v).item()) > 0.01 * slip);
  BOOST_TEST(duality_deviation([](const Tensors& in) { return Tensors{exp(in[0])}; }, at, {true}) <
             tolerance::rounding(DType::f64, 8));
}

BOOST_AUTO_TEST_CASE(not_a_number_is_as_wrong_as_can_be) {
  const Function f = [](const Tensors& in) { return Tensors{scale(in[0], NAN)}; };
  BOOST_TEST(std::isinf(difference_deviation(f, point(), {true})));
  BOOST_TEST(std::isinf(duality_deviation(f, point(), {true})));
}

BOOST_AUTO_TEST_CASE(the_same_on_every_run) {
  const Function f = exp_with(1 + slip);
  BOOST_TEST(difference_deviation(f, point(), {true}) == difference_deviation(f, point(), {true}));
  BOOST_TEST(difference_deviation(f, point(), {true}, {.seed = 2}) != difference_deviation(f, point(), {true}));
  BOOST_CHECK_THROW(static_cast<void>(check_derivatives(f, point(), {true, true})), Error);
}

BOOST_AUTO_TEST_SUITE_END()
