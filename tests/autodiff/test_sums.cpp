// Cotangents of one value: rules that add theirs to what has arrived before, and the tape for those that do not.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/cos.h"
#include "autodiff/ops/group_norm.h"
#include "autodiff/ops/linear.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sin.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/profile.h"
#include "core/random.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"

namespace costate {
namespace {

using Map = std::function<Tensor(const Tensor&)>;

struct Named {
  const char* name;
  Map f;
};

/// Numbers that bf16 has.
Tensor noise(std::uint64_t seed, const Shape& shape, DType dtype) {
  const Tensor coarse = Tensor::from(normal_noise(seed, 0, 1, 0, shape).to_vector(), shape, DType::bf16);
  return Tensor::from(coarse.to_vector(), shape, dtype);
}

const Shape image{2, 6, 6, 8};

/// Maps of images to images whose way back ends in an op that adds.
std::vector<Named> adding(DType dtype) {
  const Tensor matrix = noise(1, {8, 8}, dtype), taps = noise(2, {3, 3, 8, 8}, dtype), gamma = noise(3, {8}, dtype),
               beta = noise(4, {8}, dtype);
  const Map norm = [=](const Tensor& x) { return group_norm(x, gamma, beta, 2, 1e-5, true); };
  return {{"linear", [=](const Tensor& x) { return linear(x, matrix); }},
          {"three of linear",
           [=](const Tensor& x) { return linear(x, matrix, {}, linear(x, matrix, {}, linear(x, matrix))); }},
          {"conv2d", [=](const Tensor& x) { return conv2d(x, taps, same_padding(3, 3)); }},
          {"conv2d_dx", [=](const Tensor& x) { return conv2d_dx(x, taps, image, same_padding(3, 3)); }},
          {"group_norm", norm},
          {"layer_norm", [=](const Tensor& x) { return layer_norm(x, gamma, beta, 1e-5); }},
          {"checkpoint", [=](const Tensor& x) {
             return checkpoint([=](const Tensors& in) { return Tensors{norm(in[0])}; }, {x})[0];
           }}};
}

/// f(x), and x itself, which is there before on the way back.
Function beside(const Map& f) {
  return [f](const Tensors& in) { return Tensors{f(in[0]), in[0]}; };
}
/// The same for a copy of x, whose cotangent the tape adds.
Function apart(const Map& f) {
  return [f](const Tensors& in) { return Tensors{f(scale(scale(in[0], 2), 0.5)), in[0]}; };
}

std::int64_t additions(const Profile& profile) {
  std::int64_t calls = 0;
  for (const auto& row : profile.rows()) calls += row.name == "add" ? row.calls : 0;
  return calls;
}

/// The gradient of <u, f's cotangent> in x, g and h, each watched from outside.
Tensors second(const Function& f, const Tensors& at, const Tensor& u) {
  const auto first = [&](const Tensors& in) { return Tensors{vjp(f, {in[0]}).pull({in[1], in[2]})[0]}; };
  return vjp(first, at).pull({u});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sums)

BOOST_AUTO_TEST_CASE(rules_that_add_leave_the_tape_nothing_to_add) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const auto& [name, f] : adding(dtype)) {
      const Tensor x = noise(5, image, dtype), g = noise(6, image, dtype), h = noise(7, image, dtype);
      const auto pulled = [&, f = f](const Function& of, std::int64_t added) {
        const Vjp at = vjp(of, {x});
        const Profile profile;
        const Tensor back = at.pull({g, h})[0];
        BOOST_TEST(additions(profile) == added, name << ": " << additions(profile) << " additions");
        BOOST_TEST((same_bits(at.pull({g, h})[0], back) && same_bits(at.pull_once({g, h})[0], back)), name);
        return back;
      };
      const Tensor sum = pulled(beside(f), 0), plain = pulled(apart(f), 1);
      BOOST_TEST(relative_difference(sum, plain) <= tolerance::rounding(dtype, 72), name << " " << name_of(dtype));
      BOOST_TEST(relative_difference(sum, h) > 0.1, name);
    }
}

// Of bf16 the sum with what arrived in one rounding is nearer to that in f64 than two roundings are.
BOOST_AUTO_TEST_CASE(a_sum_is_rounded_once) {
  const auto narrow = adding(DType::bf16), wide = adding(DType::f64);
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    if (std::string(narrow[i].name) == "three of linear") continue;  // a longer sum, rounded at each term
    const auto pulled = [&](const Map& f, auto&& read, DType dtype) {
      const Tensor back =
          vjp(read(f), {noise(5, image, dtype)}).pull({noise(6, image, dtype), noise(7, image, dtype)})[0];
      return Tensor::from(back.to_vector(), image, DType::f64);
    };
    const Tensor fine = pulled(wide[i].f, apart, DType::f64);
    BOOST_TEST(relative_difference(pulled(narrow[i].f, beside, DType::bf16), fine) <
                   relative_difference(pulled(narrow[i].f, apart, DType::bf16), fine),
               narrow[i].name);
  }
}

BOOST_AUTO_TEST_CASE(second_derivatives_see_the_sum) {
  for (const auto& [name, f] : adding(DType::f64)) {
    const Tensors at{noise(5, image, DType::f64), noise(6, image, DType::f64), noise(7, image, DType::f64)};
    const Tensor u = noise(8, image, DType::f64);
    const Tensors sum = second(beside(f), at, u), plain = second(apart(f), at, u);
    for (std::size_t i = 0; i < at.size(); ++i)
      BOOST_TEST((sum[i].size() == plain[i].size() &&
                  relative_difference(sum[i], plain[i]) <= tolerance::rounding(DType::f64, 72)),
                 name << ", of argument " << i);
    BOOST_TEST(same_bits(sum[2], u), name);
    const auto loss = [f = f](bool alone) {
      return [=](const Tensors& in) {
        const Tensors y = (alone ? apart(f) : beside(f))(in);
        return sum_to(square(y[0]) * sin(y[1]), {1, 1, 1, 1});
      };
    };
    const auto product = [&](bool alone) {
      return hvp([&](const Tensors& in) { return reshape(loss(alone)(in), {}); }, {at[0]}, {u})[0];
    };
    BOOST_TEST(relative_difference(product(false), product(true)) <= tolerance::rounding(DType::f64, 288), name);
  }
}

// What came before is watched from outside, and nothing else: it must not vanish in a kernel.
BOOST_AUTO_TEST_CASE(what_has_arrived_may_be_all_that_is_watched) {
  for (const auto& [name, f] : adding(DType::f64)) {
    const Tensor x = noise(5, image, DType::f64), g = noise(6, image, DType::f64), h = noise(7, image, DType::f64),
                 u = noise(8, image, DType::f64);
    const Vjp at = vjp(beside(f), {x});
    const auto pulled = [&](const Tensors& in) { return at.pull({g, sin(in[0])}); };
    const Vjp outer = vjp(pulled, {h});
    BOOST_TEST(relative_difference(outer.value[0], at.pull({g, sin(h)})[0]) <= tolerance::rounding(DType::f64, 72),
               name);
    BOOST_TEST(relative_difference(outer.pull({u})[0], u * cos(h)) <= tolerance::rounding(DType::f64, 1), name);
  }
}

// A checkpoint has the order of one long tape: so have its bits, which in bf16 depend on it.
BOOST_AUTO_TEST_CASE(a_checkpoint_adds_in_the_order_of_one_tape) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor matrix = noise(1, {8, 8}, dtype), gamma = noise(3, {8}, dtype), beta = noise(4, {8}, dtype);
    const Function body = [&](const Tensors& in) {
      return Tensors{linear(in[0], matrix) * in[1], sin(in[0]) + group_norm(in[0], gamma, beta, 2, 1e-5)};
    };
    const auto around = [&](const Function& f) -> Function {
      return [f](const Tensors& in) {
        const Tensors y = f({in[0], in[1]});
        return Tensors{y[0] + in[0], y[1] * in[1], sin(in[0]), in[0]};
      };
    };
    const Function once = [&](const Tensors& in) { return checkpoint(body, in); };
    const Function twice = [&](const Tensors& in) { return checkpoint(once, in); };
    const Tensors at{noise(5, image, dtype), noise(6, image, dtype)};
    const Tensors g{noise(7, image, dtype), noise(8, image, dtype), noise(9, image, dtype), noise(10, image, dtype)};
    const Tensors flat = vjp(around(body), at).pull(g);
    for (const auto& other : {around(once), around(twice)}) {
      const Tensors back = vjp(other, at).pull(g);
      BOOST_TEST((same_bits(back[0], flat[0]) && same_bits(back[1], flat[1])), name_of(dtype));
    }
  }
}

// A factor that is the addend as well, and one that is given twice to a checkpoint: each of the two arrives once.
BOOST_AUTO_TEST_CASE(inputs_that_appear_twice) {
  const DType dtype = DType::f64;
  const Tensor matrix = noise(1, {8, 8}, dtype), taps = noise(2, {3, 3, 8, 8}, dtype);
  const std::vector<Named> twins = {
      {"linear", [=](const Tensor& x) { return linear(x, matrix, {}, x); }},
      {"conv2d", [=](const Tensor& x) { return conv2d(x, taps, {}, x, same_padding(3, 3)); }},
      {"conv2d_dx", [=](const Tensor& x) { return conv2d_dx(x, taps, image, same_padding(3, 3), x); }},
      {"mul", [](const Tensor& x) { return x * x; }},
      {"checkpoint", [=](const Tensor& x) {
         return checkpoint([=](const Tensors& in) { return Tensors{linear(in[0], matrix) * in[1]}; }, {x, x})[0];
       }}};
  const Tensors at{noise(5, image, dtype), noise(6, image, dtype), noise(7, image, dtype)};
  const Tensor u = noise(8, image, dtype);
  for (const auto& [name, f] : twins) {
    const auto pulled = [&](const Function& of) { return vjp(of, {at[0]}).pull({at[1], at[2]})[0]; };
    BOOST_TEST(relative_difference(pulled(beside(f)), pulled(apart(f))) <= tolerance::rounding(dtype, 72), name);
    const Tensors sum = second(beside(f), at, u), plain = second(apart(f), at, u);
    for (std::size_t i = 1; i < at.size(); ++i)
      BOOST_TEST(relative_difference(sum[i], plain[i]) <= tolerance::rounding(dtype, 72), name << " " << i);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
