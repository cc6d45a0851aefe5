// What each property of an op case means.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>

#include "autodiff/check.h"
#include "core/parallel.h"
#include "core/random.h"
#include "tests/autodiff/properties.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"

namespace costate {
namespace {

/// A run of a case with its derivative: the result, then one gradient an input (undefined for indices).
struct Outcome {
  Tensor value;
  Tensors gradients;
};

Function function_of(const CaseFunction& run) {
  return [run](const Tensors& in) { return Tensors{run(in)}; };
}

Tensor cotangent_like(const Tensor& y, DType rounded_to) {
  const auto noise = normal_noise(7, 0, 1, 0, y.shape()).to_vector();
  return Tensor::from(Tensor::from(noise, y.shape(), rounded_to).to_vector(), y.shape(), y.dtype());
}

Outcome differentiate(const CaseFunction& run, const Tensors& in, const Wanted& wanted, const Tensor& g) {
  const Vjp back = vjp(function_of(run), in, wanted);
  return {back.value[0], back.pull({g})};
}

Outcome outcome(const Case& c, const Tensors& in) {
  return differentiate(c.run, in, differentiable(c), cotangent_like(c.run(in), in[0].dtype()));
}

void require_same_bits(const Outcome& a, const Outcome& b) {
  BOOST_TEST(same_bits(a.value, b.value));
  BOOST_REQUIRE_EQUAL(a.gradients.size(), b.gradients.size());
  for (std::size_t i = 0; i < a.gradients.size(); ++i)
    BOOST_TEST(same_bits(a.gradients[i], b.gradients[i]), "gradient of input " << i);
}

void require_close(const Outcome& a, const Outcome& b, double bound) {
  BOOST_TEST(relative_difference(a.value, b.value) <= bound);
  for (std::size_t i = 0; i < a.gradients.size(); ++i) {
    if (a.gradients[i].defined())
      BOOST_TEST(relative_difference(a.gradients[i], b.gradients[i]) <= bound,
                 "gradient of input " << i << " is " << relative_difference(a.gradients[i], b.gradients[i])
                                      << " off, bound " << bound);
  }
}

/// Cases of a network's size run in the dtype networks run in; small ones in all.
std::vector<DType> dtypes_of(const Case& c, std::vector<DType> all) { return c.bench ? std::vector{DType::f32} : all; }

/// Leaves blocks full of NaN in the allocator's cache, in the sizes the next run will ask for.
void poison(const Outcome& sizes, const Tensors& in) {
  Tensors junk;
  const auto fill = [&](const Tensor& t) {
    if (!t.defined() || !is_floating(t.dtype())) return;
    for (int i = 0; i < 3; ++i)
      junk.push_back(Tensor::full(t.shape(), std::numeric_limits<double>::quiet_NaN(), t.dtype()));
  };
  fill(sizes.value);
  for (const auto& t : sizes.gradients) fill(t);
  for (const auto& t : in) fill(t);
}

class ThreadCountGuard {
 public:
  ThreadCountGuard() = default;
  ThreadCountGuard(const ThreadCountGuard&) = delete;
  ThreadCountGuard& operator=(const ThreadCountGuard&) = delete;
  ~ThreadCountGuard() { set_thread_count(before_); }

 private:
  int before_ = thread_count();
};

/// A tensor inside a larger buffer whose other elements would show in any result they reached.
struct Guarded {
  static constexpr std::int64_t guard = 3;  // odd: the tensor starts where no vector load is aligned
  explicit Guarded(const Tensor& t) {
    const double trap = t.dtype() == DType::i32 ? 1 << 30 : std::numeric_limits<double>::quiet_NaN();
    std::vector<double> values(guard, trap);
    const auto inner = t.to_vector();
    values.insert(values.end(), inner.begin(), inner.end());
    values.insert(values.end(), guard, trap);
    const Shape all{static_cast<std::int64_t>(values.size())};
    buffer = Tensor::from(values, all, t.dtype());
    copy = Tensor::from(values, all, t.dtype());
    view = buffer.rows(guard, t.size()).reshaped(t.shape());
  }
  Tensor buffer, copy, view;
};

}  // namespace

void check_values(const Case& c) {
  for (const DType dtype : dtypes_of(c, {DType::f64, DType::f32, DType::bf16})) {
    const Tensors in = case_inputs(c, dtype);
    const Outcome got = outcome(c, in);
    BOOST_TEST((got.value.dtype() == in[0].dtype()));
    BOOST_TEST(first_non_finite(got.value) == -1);
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (c.inputs[i].index) continue;
      BOOST_REQUIRE((got.gradients[i].shape() == in[i].shape() && got.gradients[i].dtype() == in[i].dtype()));
      BOOST_TEST(first_non_finite(got.gradients[i]) == -1);
    }
    // Evaluating with and without a tape is the same.
    BOOST_TEST(same_bits(got.value, c.run(in)));
  }
  if (!c.plain) return;
  const Tensors in = case_inputs(c, DType::f64);
  BOOST_TEST(relative_difference(c.run(in), c.plain(in)) <= tolerance::rounding(DType::f64, c.reduction));
}

void check_derivatives_of(const Case& c) {
  const Tensors in = case_inputs(c, DType::f64, c.through);
  const DerivativeReport seen = check_derivatives(function_of(c.run), in, differentiable(c), {.through = c.through});
  BOOST_TEST(seen.duality <= tolerance::rounding(c.through, c.reduction));
  if (c.constant) {
    for (const auto& g : outcome(c, in).gradients)
      BOOST_TEST(relative_difference(g, Tensor::zeros(g.shape(), g.dtype())) == 0);
    return;
  }
  BOOST_TEST(seen.second_duality <= tolerance::rounding(c.through, c.reduction));
  BOOST_TEST(seen.difference <= tolerance::difference(c.through, c.reduction));
  BOOST_TEST(seen.second_difference <= tolerance::difference(c.through, c.reduction));
}

void check_spec(const Case& c) {
  for (const DType dtype : dtypes_of(c, {DType::f64, DType::f32})) {
    const Tensors in = case_inputs(c, dtype);
    const double bound = tolerance::rounding(dtype, c.reduction);
    if (c.constant) {  // what should be zero has no relative error
      BOOST_TEST(relative_difference(c.run(in), c.spec(in)) <= bound);
      continue;
    }
    const Tensor g = cotangent_like(c.run(in), dtype);
    const Wanted wanted = differentiable(c);
    require_close(differentiate(c.run, in, wanted, g), differentiate(c.spec, in, wanted, g), bound);
    Tensors v(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (wanted[i]) v[i] = cotangent_like(in[i], dtype);
    }
    BOOST_TEST(relative_difference(jvp(function_of(c.run), in, v).second[0],
                                   jvp(function_of(c.spec), in, v).second[0]) <= bound);
  }
}

void check_ladder(const Case& c) {
  for (const DType dtype : dtypes_of(c, {DType::f32, DType::bf16})) {
    const DType coarsest = epsilon_of(dtype) > epsilon_of(c.through) ? dtype : c.through;
    const Tensors coarse = case_inputs(c, dtype), fine = case_inputs(c, DType::f64, dtype);
    const Outcome low = outcome(c, coarse);
    const Outcome high = differentiate(c.run, fine, differentiable(c), cotangent_like(c.run(fine), dtype));
    require_close(low, high, tolerance::ladder(coarsest, c.reduction));
  }
}

void check_repeats(const Case& c) {
  const ThreadCountGuard restore;
  // Both for large sizes as well: sums of f32 numbers are taken in f64, which hides their order.
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Tensors in = case_inputs(c, dtype);
    set_thread_count(1);
    const Outcome first = outcome(c, in);
    for (int threads = 1; threads <= 4; ++threads) {
      set_thread_count(threads);
      poison(first, in);
      require_same_bits(outcome(c, case_inputs(c, dtype)), first);
    }
  }
}

void check_rows(const Case& c) {
  for (const DType dtype : dtypes_of(c, {DType::f64, DType::f32})) {
    const Tensors in = case_inputs(c, dtype);
    const Outcome whole = outcome(c, in);
    const Tensor g = cotangent_like(whole.value, dtype);
    const std::int64_t count = whole.value.dim(0);
    for (const std::int64_t row : {std::int64_t{0}, count / 2, count - 1}) {
      Tensors alone = in;
      for (std::size_t i = 0; i < in.size(); ++i) {
        if (c.inputs[i].batched) alone[i] = in[i].rows(row, 1);
      }
      const Outcome one = differentiate(c.run, alone, differentiable(c), g.rows(row, 1));
      BOOST_TEST(same_bits(one.value, whole.value.rows(row, 1)), "row " << row);
      for (std::size_t i = 0; i < in.size(); ++i) {
        if (c.inputs[i].batched && !c.inputs[i].index)
          BOOST_TEST(same_bits(one.gradients[i], whole.gradients[i].rows(row, 1)),
                     "row " << row << " of the gradient of input " << i);
      }
    }
  }
}

void check_guards(const Case& c) {
  for (const DType dtype : dtypes_of(c, {DType::f64, DType::f32, DType::bf16})) {
    const Tensors in = case_inputs(c, dtype);
    const Outcome bare = outcome(c, in);
    std::vector<Guarded> guarded(in.begin(), in.end());
    guarded.emplace_back(cotangent_like(bare.value, dtype));
    Tensors views;
    for (std::size_t i = 0; i < in.size(); ++i) views.push_back(guarded[i].view);
    require_same_bits(differentiate(c.run, views, differentiable(c), guarded.back().view), bare);
    for (const auto& g : guarded) BOOST_TEST(same_bits(g.buffer, g.copy));
  }
}

void check_wrong(const WrongCall& call) {
  BOOST_CHECK_EXCEPTION(static_cast<void>(call.call()), Error, [&](const Error& e) {
    BOOST_TEST_MESSAGE(e.what());
    return std::string(e.what()).find(call.op) != std::string::npos;
  });
}

}  // namespace costate
