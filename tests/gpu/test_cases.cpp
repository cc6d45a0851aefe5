// Every op case with its gradients by the kernels of gpu/, on the shim or on a device: against the CPU in f64, and twice, bit for
// bit.
#include <boost/test/unit_test.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/ops/attention.h"
#include "autodiff/ops/group_norm.h"
#include "autodiff/ops/linear.h"
#include "autodiff/ops/linears.h"
#include "autodiff/ops/scale.h"
#include "autodiff/transform.h"
#include "core/memory.h"
#include "core/random.h"
#include "tests/cases/read_twice.h"
#include "tests/gpu/coarse.h"
#include "tests/gpu/second_run.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"

namespace costate {
namespace {

struct Outcome {
  Tensor value;
  Tensors gradients;  ///< one an input; undefined for indices
};

using Move = Tensor(const Tensor&);
Tensor here(const Tensor& t) { return t.to(Device::cpu); }
Tensor there(const Tensor& t) { return t.to(Device::cuda); }
/// One element behind where words of memory begin.
Tensor there_askew(const Tensor& t) {
  auto numbers = t.to_vector();
  numbers.insert(numbers.begin(), 0);
  return there(Tensor::from(numbers, {t.size() + 1}, t.dtype())).rows(1, t.size()).reshaped(t.shape());
}

/// Indices stay on the host.
Tensors moved(const Tensors& in, Move& move) {
  Tensors out;
  for (const auto& t : in) out.push_back(t.defined() && is_floating(t.dtype()) ? move(t) : t);
  return out;
}

/// Runs where the inputs are and `move` brings the cotangent, whose numbers are those that `rounded_to` holds; the result lies on the
/// host.
Outcome outcome(const Case& c, const Tensors& in, Move& move, DType rounded_to) {
  const Vjp back = vjp([&](const Tensors& x) { return Tensors{c.run(x)}; }, in, differentiable(c));
  const Shape shape = back.value[0].shape();
  const Tensor noise = Tensor::from(normal_noise(7, 0, 1, 0, shape).to_vector(), shape, rounded_to);
  const Tensor g = Tensor::from(noise.to_vector(), shape, back.value[0].dtype());
  return {here(back.value[0]), moved(back.pull({move(g)}), here)};
}

/// Largest difference of values and gradients, each in units of its largest entry.
double deviation(const Outcome& a, const Outcome& b) {
  double worst = relative_difference(a.value, b.value);
  for (std::size_t i = 0; i < a.gradients.size(); ++i) {
    if (a.gradients[i].defined()) worst = std::max(worst, relative_difference(a.gradients[i], b.gradients[i]));
  }
  return worst;
}

bool same(const Outcome& a, const Outcome& b) {
  bool all = same_bits(a.value, b.value);
  for (std::size_t i = 0; i < a.gradients.size(); ++i) all = all && same_bits(a.gradients[i], b.gradients[i]);
  return all;
}

void check_numbers(const Case& c, DType dtype) {
  const DType coarsest = epsilon_of(dtype) > epsilon_of(c.through) ? dtype : c.through;
  const double bound =
      dtype == DType::f64 ? tolerance::rounding(coarsest, c.reduction) : tolerance::ladder(coarsest, c.reduction);
  const Outcome exact = outcome(c, case_inputs(c, DType::f64, dtype), here, dtype);
  const Tensors in = moved(case_inputs(c, dtype), there);
  const Outcome found = outcome(c, in, there, dtype);
  BOOST_TEST(deviation(found, exact) <= bound, name_of(dtype)
                                                   << " is " << deviation(found, exact) << " off, bound " << bound);
  const SecondRun turned;
  BOOST_TEST(same(outcome(c, in, there, dtype), found), name_of(dtype) << " depends on the order of threads");
}

/// Each operand in turn, and the cotangent, lies where words do not begin: what the others say of it is wrong.
void check_places(const Case& c, DType dtype) {
  const Tensors in = moved(case_inputs(c, dtype), there);
  const Outcome found = outcome(c, in, there, dtype);
  const double bound = tolerance::ladder(epsilon_of(dtype) > epsilon_of(c.through) ? dtype : c.through, c.reduction);
  for (std::size_t i = 0; i <= in.size(); ++i) {
    Tensors some = in;
    if (i < in.size()) some[i] = moved({in[i]}, there_askew)[0];
    const double off = deviation(outcome(c, some, i < in.size() ? there : there_askew, dtype), found);
    BOOST_TEST(off <= 2 * bound, name_of(dtype)
                                     << ", operand " << i << " askew: " << off << " off, bound " << 2 * bound);
  }
}

/// Each factor is rounded to half a unit of 2^-10, and sums stay in f32: 8 units, as for bf16.
/// Returns how far it is from f32.
double check_tf32(const Case& c) {
  constexpr double unit = 1.0 / 1024;
  const Tensors in = moved(case_inputs(c, DType::f32), there);
  const Outcome fine = outcome(c, in, there, DType::f32);
  const Coarse coarse;
  const Outcome found = outcome(c, in, there, DType::f32);
  BOOST_TEST(deviation(found, fine) <= 8 * unit, "tf32 is " << deviation(found, fine) << " off");
  const SecondRun turned;
  BOOST_TEST(same(outcome(c, in, there, DType::f32), found), "tf32 depends on the order of threads");
  return deviation(found, fine);
}

/// Of a batch, each against itself alone.
void check_rows(const Case& c, DType dtype) {
  if (std::none_of(c.inputs.begin(), c.inputs.end(), [](const CaseInput& i) { return i.batched; })) return;
  const Tensors in = case_inputs(c, dtype);
  const Tensor whole = here(c.run(moved(in, there)));
  for (std::int64_t row = 0; row < whole.dim(0); ++row) {
    Tensors alone = in;
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (c.inputs[i].batched) alone[i] = in[i].rows(row, 1);
    }
    BOOST_TEST(same_bits(here(c.run(moved(alone, there))), whole.rows(row, 1)), name_of(dtype) << " row " << row);
  }
}

/// Those that --matmul is for.
bool has_products(const std::string& op) {
  return op == "matmul" || op.rfind("linear", 0) == 0 || op == "attention" || op.rfind("conv2d", 0) == 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu)

BOOST_AUTO_TEST_CASE(every_case_on_the_device) {
  int seen = 0;
  double most_by_tf32 = 0;
  for (const auto& file : cases()) {
    for (const auto& c : file.cases) {
      if (c.bench) continue;  // of a network's size: too long for threads that take turns
      BOOST_TEST_CONTEXT(c.op << " " << c.variant) {
        for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) check_numbers(c, dtype);
        if (takes_turns && has_products(c.op)) {
          const OlderChip without_warp_groups;
          check_numbers(c, DType::bf16);
        }
        if (has_products(c.op)) {
          most_by_tf32 = std::max(most_by_tf32, check_tf32(c));
          const Coarse coarse;
          check_rows(c, DType::f32);
        }
        for (const DType dtype : {DType::f32, DType::bf16}) check_rows(c, dtype), check_places(c, dtype);
      }
      ++seen;
    }
  }
  BOOST_TEST(seen > 60);
  BOOST_TEST(most_by_tf32 > 1e-4);  // or it was not TF32
  release_cached(Device::cuda);
  BOOST_TEST(fences_broken() == 0);
  BOOST_TEST(memory_use(Device::cuda).live == 0);
}

/// Shared among blocks of a cluster, whose sums are added across it; too large for their threads to keep; tokens.
BOOST_AUTO_TEST_CASE(group_norms_of_more_than_a_block) {
  struct Image {
    Shape x;
    std::int64_t groups;
  };
  for (const auto& [x, groups] : {Image{{2, 16, 17, 20}, 2},
                                  {{2, 16, 17, 48}, 2},
                                  {{1, 24, 32, 40}, 4},
                                  {{1, 30, 41, 5}, 1},
                                  {{1, 107, 108, 20}, 2},
                                  {{1, 90, 91, 48}, 2},
                                  {{3, 1, 1, 600}, 1},
                                  {{21, 1, 1, 104}, 1}}) {
    const auto run = [groups = groups](const Tensors& in) {
      return group_norm(in[0], in[1], in[2], groups, 1e-5, true);
    };
    const Case c{.op = "group_norm",
                 .variant = "of blocks",
                 .inputs = {batched(x, -1, 2), {{x[3]}, 0.5, 1.5}, {{x[3]}}},
                 .run = run,
                 .reduction = x.size() / x[3]};
    BOOST_TEST_CONTEXT(fmt::format("{}", x)) {
      for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
        check_numbers(c, dtype), check_numbers(read_twice(c), dtype);
      check_rows(c, DType::f32);
    }
  }
}

/// Whose threads keep a leaf of sums each, and two: rows of 3 to 5 images, in bf16, and what comes back to them.
BOOST_AUTO_TEST_CASE(group_norms_of_few_blocks_and_of_many) {
  struct Image {
    Shape x;
    std::int64_t groups;
  };
  for (const auto& [x, groups] : {Image{{5, 8, 8, 32}, 8},
                                  {{3, 16, 17, 20}, 2},      // 17 leaves a column
                                  {{5, 3, 3, 48}, 4},        // two, of which the second is short
                                  {{3, 16, 16, 640}, 2}}) {  // as many columns as threads may have
    const auto normal = [groups = groups](const Tensors& in) {
      return group_norm(in[0], in[1], in[2], groups, 1e-5, true);
    };
    const Case forward{.op = "group_norm", .inputs = {batched(x), {{x[3]}, 0.5, 1.5}, {{x[3]}}}, .run = normal};
    Case back = forward;
    back.inputs.push_back(batched(x));
    back.run = [normal](const Tensors& in) {
      return vjp([&](const Tensors& x) { return Tensors{normal({x[0], in[1], in[2]})}; }, {in[0]}).pull({in[3]})[0];
    };
    BOOST_TEST_CONTEXT(fmt::format("{}", x)) {
      check_rows(forward, DType::bf16);
      check_rows(back, DType::bf16);
      check_numbers(forward, DType::bf16);
    }
  }
}

/// A mean that is thousands of deviations away, in groups of one and of many channels, and one number that is far from it as well,
/// where sums begin.
BOOST_AUTO_TEST_CASE(group_norms_far_from_zero) {
  struct Image {
    Shape x;
    std::int64_t groups;
  };
  for (const double first : {3000.0, -5000.0})
    for (const auto& [shape, groups] : {Image{{2, 16, 16, 8}, 8},
                                        {{2, 16, 16, 32}, 2},
                                        {{1, 16, 15, 24}, 4},
                                        {{1, 107, 108, 20}, 2},
                                        {{3, 1, 1, 600}, 1}}) {
      std::vector<double> numbers = normal_noise(11, 0, 1, 0, shape).to_vector();
      for (auto& number : numbers) number += 3000;
      numbers[0] = first;
      const Tensor x = Tensor::from(numbers, shape, DType::f32);
      const auto normal = [&, groups = groups](DType dtype, Move& move) {
        const auto parameter = [&](double value) { return move(Tensor::full({x.dim(3)}, value, {dtype})); };
        const Tensor in = move(Tensor::from(x.to_vector(), x.shape(), dtype));
        return here(group_norm(in, parameter(1), parameter(0), groups, 1e-5, false));
      };
      const Tensor exact = normal(DType::f64, here);
      const double f32_off = relative_difference(normal(DType::f32, there), exact),
                   f64_off = relative_difference(normal(DType::f64, there), exact);
      BOOST_TEST_CONTEXT(fmt::format("first {}, {}", first, shape)) {
        BOOST_TEST(f32_off < 32 * epsilon_of(DType::f32));
        BOOST_TEST(f64_off < 1e-11);
      }
    }
}

BOOST_AUTO_TEST_CASE(no_rows_give_no_rows) {
  const auto some = [](const Shape& shape) { return Tensor::full(shape, 1, {DType::f32, Device::cuda}); };
  const Tensor y = linear(some({0, 4}), some({4, 5}), some({5}), some({0, 5}));
  BOOST_TEST((y.shape() == Shape{0, 5}));
  BOOST_TEST((scale(y, 2).shape() == Shape{0, 5}));
}

/// What no row, no query, no image and no term adds to is zero, and not what memory holds.
BOOST_AUTO_TEST_CASE(nothing_adds_up_to_zero) {
  for (const Device device : {Device::cpu, Device::cuda})
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      const auto some = [&](const Shape& shape) { return Tensor::full(shape, 1, {dtype, device}); };
      const auto check = [&](const char* what, const Function& f, const Tensors& in) {
        const Vjp at = vjp(f, in);
        const auto zero = [&](const Tensor& t) {
          const auto numbers = t.to_vector();
          BOOST_TEST(std::count(numbers.begin(), numbers.end(), 0.0) == t.size(), what << " " << name_of(dtype));
        };
        for (const Tensors& all : {at.value, at.pull(at.value)}) std::for_each(all.begin(), all.end(), zero);
      };
      for (const std::int64_t width : {6, 64})
        check("attention", [](const Tensors& t) { return Tensors{attention(t[0], t[1], t[2], 2, 1)}; },
              {some({2, 0, width}), some({2, 5, width}), some({2, 5, width})});
      check("group_norm", [](const Tensors& t) { return Tensors{group_norm(t[0], t[1], t[2], 2, 1e-5)}; },
            {some({0, 3, 3, 16}), some({16}), some({16})});
      check("layer_norm", [](const Tensors& t) { return Tensors{layer_norm(t[0], t[1], t[2], 1e-5)}; },
            {some({0, 16}), some({16}), some({16})});
      for (const Shape& x : {Shape{0, 4}, Shape{3, 0}}) {
        const Tensor w = some({2, x[1], 5});
        check("linears",
              [](const Tensors& t) {
                return linears(t[0], {t[1], t[2]});
              },
              {some(x), w.rows(0, 1).reshaped({x[1], 5}), w.rows(1, 1).reshaped({x[1], 5})});
      }
    }
}

BOOST_AUTO_TEST_CASE(memory_that_is_refused_leaves_the_device_usable) {
  const Tensor before = Tensor::full({3}, 2, {DType::f32, Device::cuda});
  try {
    Tensor::empty({std::int64_t{1} << 56}, {DType::f64, Device::cuda});
    BOOST_ERROR("nothing was thrown");
  } catch (const Error& e) {
    for (const char* part : {"cannot allocate 524288.0 TiB on cuda", "in use", "at most so far", "smaller batch"})
      BOOST_TEST(std::string(e.what()).find(part) != std::string::npos, "'" << part << "' is not in: " << e.what());
  }
  BOOST_TEST((before.to_vector() == std::vector<double>(3, 2)));
}

BOOST_AUTO_TEST_CASE(the_first_of_a_kind_is_found) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    std::vector<double> v(3000, 0);
    const auto there = [&] { return Tensor::from(v, {3000}, {dtype, Device::cuda}); };
    BOOST_TEST(first_non_finite(there()) == -1);
    v[2999] = -INFINITY, v[1234] = NAN;
    BOOST_TEST(first_non_finite(there()) == 1234);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
