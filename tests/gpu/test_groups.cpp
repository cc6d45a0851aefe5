// Large batches on the device: a few rows at a time give the bits of all rows, in memory that does not grow, by graphs that groups share.
#include <boost/test/unit_test.hpp>

#include "autodiff/transform.h"
#include "core/memory.h"
#include "core/profile.h"
#include "nn/by_rows.h"
#include "solvers/adjoint.h"
#include "tests/gpu/small_network.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

constexpr std::int64_t width = 96;

Net net_of(const std::shared_ptr<const Network>& network) {
  return [network](const Tensor& x, const Level& level, const Tensors&) { return at(*network, x, level.t); };
}

/// The checkpointed gradient of 6 steps, `each` rows at a time; 0: all.
Gradient gradient(const std::shared_ptr<const Network>& network, const Tensor& x_T, std::int64_t each) {
  const Sampler sampler{.denoiser = {.net = net_of(network)},
                        .grid = make_grid("lambda", *vp_linear(), 6),
                        .stepper = make_stepper("ddim")};
  return make_adjoint("checkpointed")
      .gradient({.sampler = sampler,
                 .x_T = x_T,
                 .p = {},
                 .loss = [](const Tensor& x) { return 0.5 * inner(x, x); },
                 .groups = {.rows = each, .sampler = [&](std::int64_t, std::int64_t) { return sampler; }}});
}

/// Bytes that a gradient takes while nothing is repeated, beyond a dozen tensors of all rows: states, x_T, x_0 and cotangents.
std::int64_t bytes_of_gradient(const std::shared_ptr<const Network>& network, std::int64_t rows) {
  const Profile none_repeated;
  const Tensor x = noise(1, {rows, width});
  reset_peak(Device::cuda);
  const std::int64_t before = memory_use(Device::cuda).live;
  static_cast<void>(gradient(network, x, network->rows_at_once(inputs_at(x, 0.5))));
  return memory_use(Device::cuda).peak - before - 12 * static_cast<std::int64_t>(x.bytes());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_groups)

BOOST_AUTO_TEST_CASE(evaluations_and_gradients_have_the_bits_of_the_whole) {
  const auto whole = small_network(width), grouped = by_rows(small_network(width), 3 * width);
  const Tensor x = noise(1, {11, width}), g = noise(2, x.shape());  // groups of 3, 3, 3 and 2
  BOOST_TEST(grouped->rows_at_once(inputs_at(x, 0.5)) == 3);
  const auto pulled = [&](const Network& of, double t) {
    return vjp([&](const Tensors& in) { return Tensors{at(of, in[0], t)}; }, {x}).pull({g});
  };
  for (const double t : {0.25, 0.5, 0.75, 0.25}) {
    BOOST_TEST(same({at(*grouped, x, t)}, {at(*whole, x, t)}), "t = " << t);
    BOOST_TEST(same(pulled(*grouped, t), pulled(*whole, t)), "gradient, t = " << t);
  }
  const Gradient all = gradient(whole, x, 0);
  for (int i = 0; i < 2; ++i) {
    const Gradient some = gradient(grouped, x, 3);
    BOOST_TEST(same({some.x_0, some.x_T}, {all.x_0, all.x_T}), "run " << i);
  }
}

BOOST_AUTO_TEST_CASE(groups_are_of_one_size_and_share_a_graph) {
  const auto grouped = by_rows(small_network(width), 4 * width);
  const Tensor x = noise(1, {10, width});
  BOOST_TEST(grouped->rows_at_once(inputs_at(x, 0.5)) == 4);
  BOOST_TEST(grouped->rows_at_once(inputs_at(x.rows(0, 9), 0.5)) == 3);  // not 4, 4 and 1
  BOOST_TEST(grouped->rows_at_once(inputs_at(x.rows(0, 4), 0.5)) == 4);
  const Tensor nine = noise(2, {9, width});
  static_cast<void>(at(*grouped, nine, 0.5));
  [[maybe_unused]] const int graphs = shim_graphs();
  static_cast<void>(at(*grouped, nine, 0.25));
  if (takes_turns) BOOST_TEST(shim_graphs() - graphs == 3);  // of the first three groups the last was the recorded one
}

BOOST_AUTO_TEST_CASE(memory_does_not_grow_with_the_batch) {
  const auto whole = small_network(width), grouped = by_rows(small_network(width), 8 * width);
  const std::int64_t of_8 = bytes_of_gradient(grouped, 8), of_32 = bytes_of_gradient(grouped, 32),
                     all_32 = bytes_of_gradient(whole, 32);
  BOOST_TEST_MESSAGE("bytes: 8 rows " << of_8 << ", 32 rows " << of_32 << ", in one piece " << all_32);
  BOOST_TEST(of_32 <= of_8);
  BOOST_TEST(all_32 > 3 * of_8);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
