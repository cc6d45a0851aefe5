// The tape and the transforms themselves: length, nesting, checkpoints, custom rules, frozen inputs, refusals.
#include <boost/test/unit_test.hpp>

#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/sin.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/memory.h"
#include "tests/core/throws.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"

namespace costate {
namespace {

const double rounding = tolerance::rounding(DType::f64, 1);

using Map = std::function<Tensor(const Tensor&)>;

/// The derivative of an elementwise map, as a map: its own derivative is the next order.
Map slope_of(const Map& f) {
  return
      [f](const Tensor& x) { return value_and_grad([&](const Tensors& in) { return sum(f(in[0])); }, {x}).second[0]; };
}

/// Values without tricks: neither 0 nor 1, both signs.
Tensor points() { return Tensor::from({-1.3, -0.4, 0.2, 0.9, 1.7}, {5}); }

template <class F>
void check_values(const Tensor& got, const Tensor& x, F&& expected) {
  const auto y = got.to_vector(), at = x.to_vector();
  BOOST_REQUIRE_EQUAL(y.size(), at.size());
  for (std::size_t i = 0; i < y.size(); ++i)
    BOOST_TEST(std::abs(y[i] - expected(at[i])) <= rounding * (1 + std::abs(expected(at[i]))),
               "at " << at[i] << ": " << y[i]);
}

Tensor exp_sin(const Tensor& x) { return exp(x) * sin(x); }

/// Bytes of a tensor as the allocator counts them.
std::int64_t counted(const Tensor& t) { return (static_cast<std::int64_t>(t.bytes()) + 63) / 64 * 64; }

struct Line {
  Tensor weight, bias, unused;
  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
    visit("unused", self.unused);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(tape)

// A tape that is walked or freed by recursion overflows the stack here.
BOOST_AUTO_TEST_CASE(a_million_records) {
  constexpr int rounds = 333'334;  // three records each
  double y = 0.7, slope = 1;
  for (int i = 0; i < rounds; ++i) {
    slope *= 1.0000001 * std::cos(y);
    y = 1.0000001 * std::sin(y) + 1e-9;
  }
  const std::int64_t before = memory_use().live;
  {
    const Vjp at = vjp(
        [](const Tensors& in) {
          Tensor t = in[0];
          for (int i = 0; i < rounds; ++i) t = add_scalar(scale(sin(t), 1.0000001), 1e-9);
          return Tensors{t};
        },
        {Tensor::from({0.7}, {1})});
    BOOST_TEST(memory_use().live - before > 64 * rounds);  // sin keeps its argument each round
    const Tensor one = Tensor::full({1}, 1, DType::f64);
    const double kept = at.pull({one})[0].item(), consumed = at.pull_once({one})[0].item();
    BOOST_TEST(at.value[0].item() == y, boost::test_tools::tolerance(tolerance::rounding(DType::f64, 3 * rounds)));
    BOOST_TEST(kept == slope, boost::test_tools::tolerance(tolerance::rounding(DType::f64, 3 * rounds)));
    BOOST_TEST(kept == consumed);
  }
  BOOST_TEST(memory_use().live == before);
  static_cast<void>(vjp(  // freed without having been walked
      [](const Tensors& in) {
        Tensor t = in[0];
        for (int i = 0; i < 3 * rounds; ++i) t = scale(t, 1);
        return Tensors{t};
      },
      {Tensor::from({0.7}, {1})}));
  BOOST_TEST(memory_use().live == before);
}

BOOST_AUTO_TEST_CASE(derivatives_nest_three_deep) {
  const Tensor x = points();
  const Map d1 = slope_of(exp_sin), d2 = slope_of(d1), d3 = slope_of(d2);
  check_values(d1(x), x, [](double v) { return std::exp(v) * (std::sin(v) + std::cos(v)); });
  check_values(d2(x), x, [](double v) { return 2 * std::exp(v) * std::cos(v); });
  check_values(d3(x), x, [](double v) { return 2 * std::exp(v) * (std::cos(v) - std::sin(v)); });
  check_values(slope_of(slope_of(slope_of([](const Tensor& t) { return square(square(t)); })))(x), x,
               [](double v) { return 24 * v; });
}

BOOST_AUTO_TEST_CASE(forward_and_reverse_nest_in_any_order) {
  const Tensor x = points(), one = Tensor::full({5}, 1, DType::f64);
  const auto forward = [&](const Map& f) -> Map {
    return [f, one](const Tensor& t) {
      return jvp([&](const Tensors& in) { return Tensors{f(in[0])}; }, {t}, {one}).second[0];
    };
  };
  const auto second = [](double v) { return 2 * std::exp(v) * std::cos(v); };
  check_values(forward(forward(exp_sin))(x), x, second);
  check_values(forward(slope_of(exp_sin))(x), x, second);
  check_values(slope_of(forward(exp_sin))(x), x, second);
  check_values(forward(slope_of(forward(exp_sin)))(x), x,
               [](double v) { return 2 * std::exp(v) * (std::cos(v) - std::sin(v)); });
}

// d/dx x (d/dy (x + y)) is 1: the inner derivative must not see x as its own.
BOOST_AUTO_TEST_CASE(levels_do_not_mix) {
  const Map outer = [](const Tensor& x) { return x * slope_of([&](const Tensor& y) { return x + y; })(scale(x, 1)); };
  check_values(slope_of(outer)(points()), points(), [](double) { return 1; });
  const Map captured = [](const Tensor& x) {
    return slope_of([&](const Tensor& y) { return x * y * y; })(x);
  };  // 2 x y at y = x
  check_values(slope_of(captured)(points()), points(), [](double v) { return 4 * v; });
}

BOOST_AUTO_TEST_CASE(hvp_of_two_inputs) {
  const Tensor x = points(), y = Tensor::from({0.3, -0.8, 1.1, 0.5, -2}, {5}),
               v = Tensor::from({1, 2, -1, 0.5, 3}, {5}), w = scale(x, -0.7);
  const auto f = [](const Tensors& in) { return sum(in[0] * in[0] * in[1]); };
  const Tensors h = hvp(f, {x, y}, {v, w});
  BOOST_TEST(relative_difference(h[0], 2 * (y * v + x * w)) <= rounding);
  BOOST_TEST(relative_difference(h[1], 2 * (x * v)) <= rounding);
  const Tensors half = hvp(f, {x, y}, {v, Tensor()});  // an undefined tangent is zero
  BOOST_TEST(relative_difference(half[0], 2 * (y * v)) <= rounding);
}

BOOST_AUTO_TEST_CASE(jvp_and_vjp_are_adjoint) {
  const Function f = [](const Tensors& in) { return Tensors{exp_sin(in[0]) * in[1], sum(in[0] * sin(in[1]))}; };
  const Tensor x = points(), y = scale(points(), -0.6), v = sin(y), w = exp(x), g = exp(y),
               h = Tensor::full({}, 0.3, DType::f64);
  const auto [value, jv] = jvp(f, {x, y}, {v, w});
  const Vjp at = vjp(f, {x, y});
  const Tensors back = at.pull({g, h});
  BOOST_TEST(same_bits(value[0], at.value[0]));
  const double left = inner(g, jv[0]).item() + inner(h, jv[1]).item(),
               right = inner(back[0], v).item() + inner(back[1], w).item();
  BOOST_TEST(left == right, boost::test_tools::tolerance(rounding));
  const Tensors part = at.pull({Tensor(), h});  // an undefined cotangent is zero
  BOOST_TEST(relative_difference(part[0], scale(sin(y), 0.3)) <= rounding);
}

BOOST_AUTO_TEST_CASE(inputs_that_are_outputs_twins_or_unused) {
  const Tensor x = points(), g = exp(x);
  const Vjp at = vjp(
      [](const Tensors& in) {
        return Tensors{in[0], in[0] * in[1], Tensor::full({5}, 3, DType::f64)};
      },
      {x, x, x});
  const Tensors back = at.pull({g, g, g});
  BOOST_TEST(relative_difference(back[0], g + g * x) <= rounding);
  BOOST_TEST(same_bits(back[1], g * x));  // the same tensor twice is two inputs
  BOOST_TEST(same_bits(back[2], Tensor::zeros({5}, DType::f64)));
  const Tensors reached = at.pull_reached({g, g, g});
  BOOST_TEST((same_bits(reached[0], back[0]) && same_bits(reached[1], back[1]) && !reached[2].defined()));
}

BOOST_AUTO_TEST_CASE(pull_repeats_and_pull_once_does_not) {
  const Tensor x = points(), g = sin(x);
  const Vjp at = vjp([](const Tensors& in) { return Tensors{exp_sin(in[0])}; }, {x});
  const Tensor first = at.pull({g})[0];
  BOOST_TEST(same_bits(at.pull({g})[0], first));
  BOOST_TEST(same_bits(at.pull_once({g})[0], first));
  check_throws([&] { return at.pull_once({g}); }, {"pull_once"});
  check_throws([&] { return at.pull({g}); }, {"pull_once"});
}

BOOST_AUTO_TEST_CASE(stop_gradient_is_a_constant_at_every_order) {
  const Map f = [](const Tensor& x) { return stop_gradient(x) * x * x; };
  check_values(f(points()), points(), [](double v) { return v * v * v; });
  check_values(slope_of(f)(points()), points(), [](double v) { return 2 * v * v; });
  check_values(slope_of(slope_of(f))(points()), points(), [](double v) { return 2 * v; });
}

BOOST_AUTO_TEST_CASE(gradients_of_structs) {
  const Line line{points(), sin(points()), {}};
  const auto loss = [](const Line& l) { return sum(l.weight * l.weight * l.bias); };
  const auto [value, gradient] = value_and_grad(loss, line);
  BOOST_TEST(value.item() == loss(line).item());
  BOOST_TEST(relative_difference(gradient.weight, 2 * (line.weight * line.bias)) <= rounding);
  BOOST_TEST(relative_difference(gradient.bias, square(line.weight)) <= rounding);
  BOOST_TEST(!gradient.unused.defined());
  BOOST_TEST(same_bits(grad(loss, line).bias, gradient.bias));
}

// With frozen weights a convolution keeps its weights and not its input, and no weight gradient runs.
BOOST_AUTO_TEST_CASE(frozen_weights_cost_nothing) {
  const Tensor x = Tensor::full({1, 2, 2, 256}, 0.5), w = Tensor::full({1, 1, 256, 512}, 0.25),
               g = Tensor::full({1, 2, 2, 512}, 1);
  const Function f = [](const Tensors& in) { return Tensors{conv2d(scale(in[0], 2), in[1])}; };
  const auto run = [&](const Wanted& wanted) {
    const std::int64_t before = memory_use().live;
    const Vjp at = vjp(f, {x, w}, wanted);
    const std::int64_t kept = memory_use().live - before;
    reset_peak();
    const Tensors back = at.pull({g});
    const std::int64_t added = memory_use().peak - before - kept;
    BOOST_TEST((back[0].defined() == wanted[0] && back[1].defined() == wanted[1]));
    return std::pair{kept, added};
  };
  static_cast<void>(run({true, true}));  // packs the weights, which stay with them
  const auto [frozen_kept, frozen_added] = run({true, false});
  const auto [trained_kept, trained_added] = run({true, true});
  BOOST_TEST(frozen_kept == counted(g));  // the value alone
  BOOST_TEST(trained_kept == counted(g) + counted(x));
  BOOST_TEST(frozen_added < counted(w));
  BOOST_TEST(trained_added >= counted(w));
}

BOOST_AUTO_TEST_CASE(shared_tensors_are_immutable) {
  Tensor t = Tensor::zeros({4}, DType::f64);
  t.mutable_data<double>()[0] = 1;
  {
    const Tensor other = t;
    check_throws([&] { return t.mutable_data<double>(); }, {"immutable"});
  }
  t.mutable_data<double>()[1] = 2;  // alone again
  static_cast<void>(vjp(
      [](const Tensors& in) {
        Tensor inside = in[0];
        check_throws([&] { return inside.mutable_data<double>(); }, {"immutable"});
        return in;
      },
      {t}));
}

BOOST_AUTO_TEST_CASE(wrong_calls_are_refused_in_a_sentence) {
  const Tensor x = points(), i = Tensor::zeros({5}, DType::i32);
  const Function f = [](const Tensors& in) { return Tensors{sin(in[0])}; };
  check_throws([&] { return value_and_grad([](const Tensors& in) { return sin(in[0]); }, {x}); },
               {"grad", "(5)", "not a scalar"});
  check_throws([&] { return vjp(f, {i}); }, {"vjp", "input 0", "i32"});
  check_throws([&] { return vjp(f, {x}, {true, false}); }, {"vjp", "2 flags for 1 inputs"});
  const Vjp at = vjp(f, {x});
  check_throws([&] { return at.pull({Tensor::zeros({4}, DType::f64)}); }, {"vjp", "(4)", "(5)"});
  check_throws([&] { return at.pull({Tensor::zeros({5}, DType::f32)}); }, {"vjp", "f32", "f64"});
  check_throws([&] { return at.pull({x, x}); }, {"vjp", "2 cotangents for 1 outputs"});
  check_throws([] { return Vjp{}.pull({}); }, {"vjp", "nothing was recorded"});
  check_throws([&] { return jvp(f, {x}, {}); }, {"jvp", "0 tangents for 1 inputs"});
  check_throws([&] { return jvp(f, {x}, {x.reshaped({5, 1})}); }, {"jvp", "(5, 1)"});
  const auto mixed = vjp([](const Tensors& in) { return Tensors{sin(in[0])}; }, {x, i}, {true, false});
  BOOST_TEST(!mixed.pull({x})[1].defined());  // integers may be passed where no derivative is asked for
}

// An exception must leave nothing of its recording behind.
BOOST_AUTO_TEST_CASE(an_exception_closes_its_levels) {
  const Tensor x = points();
  check_throws([&] { return hvp([](const Tensors& in) -> Tensor { fail("on purpose {}", in.size()); }, {x}, {x}); },
               {"on purpose 1"});
  BOOST_TEST(sin(x).id() == 0);  // nobody is listening
  check_values(slope_of(exp_sin)(x), x, [](double v) { return std::exp(v) * (std::sin(v) + std::cos(v)); });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(checkpoints)

BOOST_AUTO_TEST_CASE(run_twice_and_give_the_same_bits) {
  const Tensor x = points(), y = sin(points());
  int runs = 0;
  const Function body = [&](const Tensors& in) {
    ++runs;
    return Tensors{exp_sin(in[0]) * in[1], in[0] * in[0]};
  };
  const Function checkpointed = [&](const Tensors& in) { return checkpoint(body, in); };
  const Vjp plain = vjp(body, {x, y});
  runs = 0;
  BOOST_TEST(same_bits(checkpointed({x, y})[0], plain.value[0]));
  BOOST_TEST(runs == 1);  // nobody differentiates: no second run
  runs = 0;
  const Vjp at = vjp(checkpointed, {x, y});
  BOOST_TEST(runs == 1);
  const Tensors expected = plain.pull({x, y}), got = at.pull({x, y});
  BOOST_TEST(runs == 2);
  BOOST_TEST(same_bits(got[0], expected[0]));
  BOOST_TEST(same_bits(got[1], expected[1]));
  static_cast<void>(at.pull({x, y}));
  BOOST_TEST(runs == 3);
}

BOOST_AUTO_TEST_CASE(keep_their_inputs_alone) {
  const Tensor x = Tensor::full({1000}, 0.5, DType::f64);
  const Function body = [](const Tensors& in) {
    Tensor t = in[0];
    for (int i = 0; i < 20; ++i) t = sin(t);
    return Tensors{t};
  };
  const std::int64_t before = memory_use().live;
  const Vjp plain = vjp(body, {x});
  const std::int64_t all = memory_use().live - before;
  BOOST_TEST(all == 20 * counted(x));  // 19 arguments besides x, and the value
  // Behind the checkpoint comes a scale, which reads nothing: the body's own result must not be kept either.
  const Vjp at = vjp([&](const Tensors& in) { return Tensors{scale(checkpoint(body, in)[0], 2)}; }, {x});
  BOOST_TEST(memory_use().live - before - all == counted(x));
}

BOOST_AUTO_TEST_CASE(differentiate_again) {
  const Tensor x = points(), v = sin(points());
  const auto loss = [](const Tensors& in) { return sum(exp_sin(in[0])); };
  const auto checkpointed = [&](const Tensors& in) {
    return checkpoint([&](const Tensors& t) { return Tensors{loss(t)}; }, in)[0];
  };
  BOOST_TEST(relative_difference(hvp(checkpointed, {x}, {v})[0], hvp(loss, {x}, {v})[0]) <= rounding);
  const Map wrapped = [](const Tensor& t) {
    return checkpoint([](const Tensors& in) { return Tensors{exp_sin(in[0])}; }, {t})[0];
  };
  check_values(slope_of(slope_of(slope_of(wrapped)))(x), x,
               [](double u) { return 2 * std::exp(u) * (std::cos(u) - std::sin(u)); });
  const Map nested = [&](const Tensor& t) {
    return checkpoint([&](const Tensors& in) { return Tensors{wrapped(in[0]) * in[0]}; }, {t})[0];
  };
  const Map read = [](const Tensor& t) {  // by what reads its argument, and by another checkpoint
    const Function square = [](const Tensors& in) { return Tensors{in[0] * in[0]}; };
    return sin(checkpoint(square, checkpoint(square, {t}))[0]) + exp(checkpoint(square, {t})[0]);
  };
  const Map written = [](const Tensor& t) { return sin(t * t * (t * t)) + exp(t * t); };
  BOOST_TEST(relative_difference(slope_of(slope_of(slope_of(read)))(x), slope_of(slope_of(slope_of(written)))(x)) <=
             100 * rounding);
  check_values(slope_of(nested)(x), x,
               [](double u) { return std::exp(u) * (std::sin(u) + u * (std::sin(u) + std::cos(u))); });
}

BOOST_AUTO_TEST_CASE(refuse_a_captured_watched_value) {
  const Tensor x = points();
  const Map captures = [](const Tensor& t) {
    return checkpoint([&](const Tensors& in) { return Tensors{mul(in[0], t)}; }, {t})[0];
  };
  check_throws([&] { return slope_of(captures)(x); }, {"mul: ", "captured", "argument"});
  check_values(captures(x), x, [](double v) { return v * v; });  // without a derivative it is a constant like any other
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(custom_derivatives)

BOOST_AUTO_TEST_CASE(use_the_given_rule) {
  int runs = 0, pulls = 0;
  const Map custom = [&](const Tensor& x) {  // sin x whose derivative is said to be x^3
    return custom_derivative(
        "odd_sine", [&](const Tensors& in) { return ++runs, Tensors{sin(in[0])}; },
        [&](const Tensors& in, const Tensors&, const Tensors& g) {
          return ++pulls, Tensors{g[0] * in[0] * in[0] * in[0]};
        },
        {x})[0];
  };
  check_values(custom(points()), points(), [](double v) { return std::sin(v); });
  BOOST_TEST((runs == 1 && pulls == 0));
  check_values(slope_of(custom)(points()), points(), [](double v) { return v * v * v; });
  BOOST_TEST((runs == 2 && pulls == 1));
  check_values(slope_of(slope_of(custom))(points()), points(), [](double v) { return 3 * v * v; });
  check_values(slope_of(slope_of(slope_of(custom)))(points()), points(), [](double v) { return 6 * v; });
}

BOOST_AUTO_TEST_CASE(rules_may_read_outputs_and_differentiate_through_them) {
  const Map custom = [](const Tensor& x) {
    return custom_derivative(
        "exp_by_rule", [](const Tensors& in) { return Tensors{exp(in[0])}; },
        [](const Tensors&, const Tensors& out, const Tensors& g) { return Tensors{g[0] * out[0]}; }, {x})[0];
  };
  check_values(slope_of(slope_of(slope_of(custom)))(points()), points(), [](double v) { return std::exp(v); });
}

BOOST_AUTO_TEST_CASE(refuse_what_they_cannot_do) {
  const Tensor x = points();
  const auto custom = [](const Function& f, std::size_t cotangents, const Tensors& in) {
    return custom_derivative(
        "half_rule", f, [=](const Tensors&, const Tensors&, const Tensors& g) { return Tensors(cotangents, g[0]); },
        in);
  };
  const Function plain = [&](const Tensors& in) {
    return custom([](const Tensors& t) { return Tensors{sin(t[0])}; }, 1, in);
  };
  check_throws([&] { return jvp(plain, {x}, {x}); }, {"half_rule", "reverse mode"});
  const Function miscounts = [&](const Tensors& in) { return custom([](const Tensors& t) { return t; }, 2, in); };
  check_throws([&] { return vjp(miscounts, {x}).pull({x}); }, {"half_rule", "2 cotangents for 1 inputs"});
  const Function captures = [&](const Tensors& in) {
    return custom([&](const Tensors& t) { return Tensors{mul(t[0], in[0])}; }, 1, in);
  };
  check_throws([&] { return vjp(captures, {x}); }, {"mul: ", "captured"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
