// A gradient whose samples go there and back a few at a time: the bits of all at once, in the memory of one group.
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/slice.h"
#include "core/memory.h"
#include "core/random.h"
#include "solvers/brownian_tree.h"
#include "tests/solvers/gradients.h"
#include "tests/solvers/tiny_net.h"
#include "tests/support/inputs.h"

namespace costate {
namespace {

constexpr std::int64_t samples = 61, hidden = 40;
constexpr int steps = 4;

/// z (steps, n, 3), weights l1 ... l3
Tensors parameters() {
  const auto noise = [](const Shape& shape, int step) {
    return normal_noise(9, 0, 1, step, shape).reshaped(shape) * 0.4;
  };
  return {noise({steps, samples, 3}, 1),
          noise({hidden, 13}, 2),
          noise({hidden}, 3),
          noise({hidden, hidden}, 4),
          noise({hidden}, 5),
          noise({2, hidden}, 6),
          noise({2}, 7)};
}

Sampler sampler_from(std::int64_t first, const std::string& stepper, const std::string& options = "{}") {
  return {.denoiser = {.net = tiny_net, .dtype = DType::f64},
          .grid = make_grid("lambda", *vp_linear(t_0), steps),
          .stepper = stepper_of(stepper, options),
          .noise = fresh_noise(5, static_cast<std::uint64_t>(first)),
          .schedule = vp_linear(t_0),
          .p_of_step = [](int index, const Tensors& p) {
            Tensors own = p;
            own[0] = reshape(slice(p[0], 0, index, 1), {p[0].dim(1), 3});
            return own;
          }};
}

GradientProblem whole(const std::string& stepper, const std::string& options = "{}") {
  return {.sampler = sampler_from(0, stepper, options),
          .x_T = normal_noise(5, 0, samples, 0, {2}),
          .p = parameters(),
          .wrt_p = {true, true, false, false, false, false, true},
          .loss = [](const Tensor& x) { return half_square_distance(x) / static_cast<double>(x.dim(0)); },
          .running = [](int level, const Tensor& x) { return 0.01 * level * sum(x * x); }};
}

GradientProblem grouped(std::int64_t rows, const std::string& stepper, const std::string& options = "{}") {
  GradientProblem problem = whole(stepper, options);
  problem.groups = {.rows = rows,
                    .sampler = [=](std::int64_t first, std::int64_t) { return sampler_from(first, stepper, options); },
                    .axes = {1, -1, -1, -1, -1, -1, -1}};
  return problem;
}

BOOST_AUTO_TEST_SUITE(adjoint_groups)

BOOST_AUTO_TEST_CASE(samples_have_the_bits_of_all_at_once) {
  for (const auto& [stepper, options] : {std::pair{"ddim", R"({"eta": 0.6})"}, {"heun", "{}"}, {"dpmpp-2m", "{}"}})
    for (const char* name : {"checkpointed", "direct", "adjointdeis-2m"}) {
      const Adjoint adjoint = make_adjoint(name);
      const Gradient a = adjoint.gradient(whole(stepper, options));
      for (const std::int64_t rows : {17, 60, 61}) {
        const Gradient b = adjoint.gradient(grouped(rows, stepper, options));
        BOOST_TEST_INFO(name << " through " << stepper << ", groups of " << rows);
        BOOST_TEST(same_bits(a.x_0, b.x_0));
        BOOST_TEST(same_bits(a.x_T, b.x_T));
        BOOST_TEST(same_bits(a.p[0], b.p[0]));
        BOOST_TEST(std::abs(a.loss - b.loss) <= 1e-13 * std::abs(a.loss));
        for (const std::size_t shared : {1, 6}) check_close(b.p[shared], a.p[shared], name, 1e-12);
        BOOST_TEST(!b.p[2].defined());
        BOOST_TEST(b.vjps == a.vjps);
      }
    }
}

BOOST_AUTO_TEST_CASE(one_tape_is_alive_at_a_time) {
  const auto peak = [](GradientProblem problem) {
    problem.wrt_p.assign(problem.p.size(), false);  // gradients in the weights are as large for a group as for all
    const std::int64_t before = memory_use(Device::cpu).live;
    reset_peak(Device::cpu);
    static_cast<void>(make_adjoint("checkpointed").gradient(problem));
    return memory_use(Device::cpu).peak - before;
  };
  const std::int64_t all = peak(whole("ddim")), few = peak(grouped(3, "ddim"));
  BOOST_TEST_MESSAGE("all samples at once " << all << " bytes, three at a time " << few);
  BOOST_TEST(few < 0.6 * static_cast<double>(all));
}

BOOST_AUTO_TEST_CASE(progress_goes_to_its_end_once) {
  GradientProblem problem = grouped(5, "ddim");
  std::vector<std::int64_t> seen;
  problem.progress = [&](std::int64_t at, std::int64_t number) {
    BOOST_TEST(number == 13 * 2 * steps);
    seen.push_back(at);
  };
  static_cast<void>(make_adjoint("checkpointed").gradient(problem));
  BOOST_TEST(std::is_sorted(seen.begin(), seen.end()));
  BOOST_TEST(seen.back() == 13 * 2 * steps);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
