// A convolution and a linear layer that are added: one product by warp groups, two elsewhere; against the CPU in f64.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/slice.h"
#include "core/kernels/conv2d_and_linear.h"
#include "gpu/group_ways.h"
#include "gpu/runtime.h"
#include "tests/gpu/coarse.h"
#include "tests/gpu/rounded.h"
#include "tests/gpu/second_run.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"

namespace costate {
namespace {

/// Kernels of 3 x 3 that keep the size.
struct Added {
  Shape x;                     ///< (image, row, column, channel)
  std::int64_t side, outputs;  ///< channels
  bool biases, strip = false;  ///< strip: the linear layer reads a slice
};

constexpr ConvGeometry same{.top = 1, .bottom = 1, .left = 1, .right = 1};

struct Operands {
  Tensor x, w, bias, side, side_w, side_bias;

  template <class F>
  [[nodiscard]] Operands each(const F& f) const {
    return {f(x), f(w), f(bias), f(side), f(side_w), f(side_bias)};
  }
  void run(const decltype(cuda::conv2d_and_linear)& kernel, Tensor& y) const {
    kernel(same, x, w, bias, side, side_w, side_bias, y);
  }
};

Operands operands(const Added& a, DType dtype) {
  const std::int64_t c = a.x[3];
  return {rounded(a.x, 1, dtype),
          rounded({3, 3, c, a.outputs}, 2, dtype),
          a.biases ? rounded({a.x[0], a.outputs}, 3, dtype) : Tensor(),
          rounded(a.x.with(3, a.side), 4, dtype),
          rounded({a.side, a.outputs}, 5, dtype),
          a.biases ? rounded({a.outputs}, 6, dtype) : Tensor()};
}

Tensor there(const Tensor& t) { return t.defined() ? t.to(Device::cuda) : t; }

/// The same bits whichever way is forced, in what order threads come, and whatever else is in the batch.
void check(const Added& a, DType dtype) {
  const Operands here = operands(a, dtype);
  const Shape to = a.x.with(3, a.outputs);
  Tensor exact = Tensor::empty(to, DType::f64);
  here.each(in_f64).run(cpu::conv2d_and_linear, exact);
  Operands on = here.each(there);
  if (a.strip) on.side = slice(concat({on.side, on.x}, 3), 3, 0, a.side);
  const auto run = [&](const Operands& o) {
    Tensor y = Tensor::empty(to.with(0, o.x.dim(0)), {dtype, Device::cuda});
    o.run(cuda::conv2d_and_linear, y);
    return y.to(Device::cpu);
  };
  const Tensor first = run(on);
  const double off = relative_difference(in_f64(first), exact), bound = tolerance::ladder(dtype, 9 * a.x[3] + a.side);
  BOOST_TEST(off <= bound, off << " off, bound " << bound);
  const SecondRun turned;
  BOOST_TEST(same_bits(run(on), first), "depends on the order of threads");
  for (int way = 0; way < cuda::group_ways; ++way) {
    cuda::force_group_way(way);
    BOOST_TEST(same_bits(run(on), first), "way " << way);
  }
  cuda::force_group_way(-1);
  Operands last = on;
  for (Tensor* t : {&last.x, &last.side, &last.bias})
    if (t->defined()) *t = there(t->to(Device::cpu).rows(a.x[0] - 1, 1));
  BOOST_TEST(same_bits(run(last), first.rows(a.x[0] - 1, 1)), "the batch shows in a row");
}

int kernels_of(const Operands& on, Tensor& y) {
  on.run(cuda::conv2d_and_linear, y);  // what is done once is done
  const int before = kernels_queued();
  on.run(cuda::conv2d_and_linear, y);
  return kernels_queued() - before;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_conv2d_and_linear)

BOOST_AUTO_TEST_CASE(both_are_one_sum) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const Coarse coarse;
    for (const Added& a : {Added{{2, 5, 7, 64}, 128, 72, true},   // whole steps
                           {{3, 6, 5, 40}, 24, 136, false},       // none is whole
                           {{2, 4, 4, 64}, 64, 3, true},          // outputs that are no whole words: packed
                           {{2, 3, 3, 64}, 640, 64, true},        // pieces, of which some have side alone
                           {{2, 4, 5, 32}, 96, 64, true, true}})  // of a slice
      BOOST_TEST_CONTEXT(name_of(dtype) << " " << to_string(a.x) << " and " << a.side << " to " << a.outputs)
    check(a, dtype);
  }
}

BOOST_AUTO_TEST_CASE(one_kernel_where_there_are_warp_groups) {
  const Added a{{1, 4, 4, 64}, 64, 64, true};
  const auto kernels = [&](DType dtype) {
    Tensor y = Tensor::empty(a.x, {dtype, Device::cuda});
    return kernels_of(operands(a, dtype).each(there), y);
  };
  if (!takes_turns) return;  // nothing is counted there
  BOOST_TEST(kernels(DType::bf16) == 1);
  BOOST_TEST(kernels(DType::f64) > 1);
  set_conv_algorithm(ConvAlgorithm::vendor, Device::cuda);
  BOOST_TEST(kernels(DType::bf16) > 1);
  set_conv_algorithm(ConvAlgorithm::own, Device::cuda);
  const OlderChip without;
  BOOST_TEST(kernels(DType::bf16) > 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
