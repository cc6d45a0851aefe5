// Ways back that the device repeats: gradients through a network's evaluation, whoever takes them.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/memory.h"
#include "core/profile.h"
#include "core/replay.h"
#include "solvers/adjoint.h"
#include "tests/gpu/repeated.h"
#include "tests/gpu/second_run.h"
#include "tests/gpu/small_network.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

/// exp(x) * column + x, and on the way back g times its slope, and g times another column.
Replay::Maker there_and_back(double factor) {
  return [factor] {
    const auto kept = std::make_shared<Tensor>();
    const auto column = [factor](double a, double b) { return Tensor::from({a * factor, b * factor}, {2, 1}, there); };
    return Replay::RoundTrip{[=](const Tensors& in) {
                               *kept = exp(in[0]) * column(1, 2);
                               return Tensors{*kept + in[0]};
                             },
                             [=](const Tensors& g) {
                               return Tensors{*kept * g[0] + g[0], g[0] * column(3, 4)};
                             }};
  };
}

Tensors plainly_back(double factor, const Tensor& x, const Tensor& g) {
  const auto trip = there_and_back(factor)();
  static_cast<void>(trip.there({x}));
  return trip.back({g});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_replay)

BOOST_AUTO_TEST_CASE(ways_back_have_the_bits_of_first_calls) {
  Replay::Function last;
  const Shape shape{2, 40};
  {
    Replay replay;
    for (std::uint64_t i = 0; i < 6; ++i) {  // two ways there, then their ways back, one of them twice
      const double a = 0.5 + static_cast<double>(i % 2), b = 2;
      const Tensor x = noise(10 + i, shape), z = noise(20 + i, shape), g = noise(30 + i, shape),
                   h = noise(40 + i, shape);
      const auto [y, from_y] = replay.round_trip(there_and_back(a), {x}, std::to_string(a));
      const auto [v, from_v] = replay.round_trip(there_and_back(b), {z}, std::to_string(b));
      BOOST_TEST(same(y, there_and_back(a)().there({x})), "there " << i);
      BOOST_TEST(same(v, there_and_back(b)().there({z})), "there again " << i);
      BOOST_TEST(same(from_v({h}), plainly_back(b, z, h)), "back " << i);
      BOOST_TEST(same(from_y({g}), plainly_back(a, x, g)), "the first back " << i);
      BOOST_TEST(same(from_y({h}), plainly_back(a, x, h)), "once more " << i);
      last = from_y;
    }
    BOOST_TEST(replay.repeated() == 25);  // of 6 rounds of 5 calls, all but the first
  }
  BOOST_TEST(same(last({noise(1, shape)}), plainly_back(1.5, noise(15, shape), noise(1, shape))));
  last = {};
  release_cached(Device::cuda);
  BOOST_TEST(memory_use(Device::cuda).live == 0);
  BOOST_TEST(fences_broken() == 0);
}

// Two evaluations and then their ways back, as in a step of heun under a tape, at times that come for the first time or again. Nothing
// is repeated while a Profile lives.
BOOST_AUTO_TEST_CASE(evaluations_under_a_tape) {
  const auto network = small_network();
  const Shape shape{3, 6};
  const auto twice = [&](double t) {
    return [&network, t](const Tensors& in) {
      const Tensor y = at(*network, in[0], t);
      return Tensors{at(*network, lincomb(1, in[0], 0.25, y), t / 2) * y};
    };
  };
  const auto pulled = [&](double t, const Tensor& x, const Tensor& g) {
    const Vjp back = vjp(twice(t), {x});
    Tensors all = back.pull({g});
    all.push_back(back.pull({g * 2})[0]);
    all.push_back(back.value[0]);
    return all;
  };
  const auto second_order = [&](double t, const Tensor& x, const Tensor& g) {
    const auto first = [&](const Tensors& in) { return vjp(twice(t), in).pull({g}); };
    return vjp(first, {x}).pull({x});
  };
  for (std::uint64_t i = 0; i < 7; ++i) {
    const double t = 0.25 * static_cast<double>(1 + i % 3);
    const Tensor x = noise(50 + i, shape), g = noise(60 + i, shape);
    Tensors plain;
    {
      const Profile none_repeated;
      plain = pulled(t, x, g);
    }
    [[maybe_unused]] const int graphs = shim_graphs();
    BOOST_TEST(same(pulled(t, x, g), plain), "round " << i);
    // There twice, two pulls of two evaluations of which the arena holds one at a time.
    if (takes_turns && i > 1) BOOST_TEST(shim_graphs() - graphs == 9, "graphs: " << shim_graphs() - graphs);
  }
  const Tensor x = noise(1, shape), g = noise(2, shape);
  Tensors plain;
  {
    const Profile none_repeated;
    plain = second_order(0.7, x, g);
  }
  BOOST_TEST(same(second_order(0.7, x, g), plain));
  // And what a network that nothing is repeated of would say, its cotangents added in another order.
  const auto alone = [&](const Network& of) {
    return vjp([&](const Tensors& in) { return Tensors{at(of, in[0], 0.7)}; }, {x}).pull({g})[0].to(Device::cpu);
  };
  const NetworkOf<Small> unwrapped(Small{network->parameters()[0].value});
  BOOST_TEST(relative_difference(alone(*network), alone(unwrapped)) <= 1e-6);
}

#ifdef COSTATE_SHIM
// A step back of an adjoint: graphs there and back, and with two evaluations the first once more.
BOOST_AUTO_TEST_CASE(a_step_of_an_adjoint_queues_little_beside_its_graphs) {
  const auto network = small_network();
  const Net net = [&](const Tensor& x, const Level& level, const Tensors&) { return at(*network, x, level.t); };
  for (const auto& [adjoint, name, expected] : {std::tuple{"checkpointed", "ddim", 2},
                                                {"checkpointed", "dpmpp-2m", 2},
                                                {"checkpointed", "heun", 5},
                                                {"adjointdeis-1", "ddim", 2}}) {
    std::vector<std::pair<int, int>> seen;
    std::vector<int> waits;
    const GradientProblem problem{.sampler = {.denoiser = {.net = net},
                                              .grid = make_grid("lambda", *vp_linear(), 8),
                                              .stepper = make_stepper(name)},
                                  .x_T = noise(1, {3, 6}),
                                  .p = {},
                                  .loss = [](const Tensor& x) { return 0.5 * inner(x, x); },
                                  .progress =
                                      [&](std::int64_t, std::int64_t) {
                                        seen.emplace_back(shim::calls_queued(), shim::graphs_launched());
                                        waits.push_back(shim::waited());
                                      }};
    static_cast<void>(make_adjoint(adjoint).gradient(problem));
    // In the first run already, numbers known from the run forward, but for the two levels at which nothing was recorded yet.
    const int early = seen[seen.size() - 4].second - seen[seen.size() - 5].second;
    if (adjoint == std::string("checkpointed")) BOOST_TEST(early == expected, name << ": " << early);
    seen.clear();
    waits.clear();
    const Gradient again = make_adjoint(adjoint).gradient(problem);
    Gradient plain;
    const std::size_t last = seen.size() - 2;
    const int calls = seen[last].first - seen[last - 1].first, graphs = seen[last].second - seen[last - 1].second;
    BOOST_TEST_MESSAGE(adjoint << " of " << name << ": " << graphs << " graphs and " << calls << " calls a step back");
    BOOST_TEST(graphs == expected);
    BOOST_TEST(calls <= 16 * graphs);
    if (adjoint == std::string("checkpointed")) BOOST_TEST(waits[last] == waits[last - 1]);  // the host goes ahead
    {
      const Profile none_repeated;
      plain = make_adjoint(adjoint).gradient(problem);
    }
    BOOST_TEST(same({again.x_T, again.x_0}, {plain.x_T, plain.x_0}), adjoint << " of " << name);
  }
}

// A sampler's step is not one graph: its evaluations are, and what is beside them is few calls, whatever the network.
BOOST_AUTO_TEST_CASE(a_step_of_a_sampler_queues_little_beside_its_graph) {
  const auto network = small_network();
  const Net net = [&](const Tensor& x, const Level& level, const Tensors&) { return at(*network, x, level.t); };
  for (const char* name : {"ddim", "dpmpp-2m", "heun"}) {
    const Sampler sampler{
        .denoiser = {.net = net}, .grid = make_grid("lambda", *vp_linear(), 8), .stepper = make_stepper(name)};
    std::vector<std::pair<int, int>> seen;
    std::vector<int> waits;
    walk(sampler, noise(1, {3, 6}), {},
         {},  // levels that are new: what they send is found out without queueing anything
         [&](int, const State&) {
           seen.emplace_back(shim::calls_queued(), shim::graphs_launched());
           waits.push_back(shim::waited());
         });
    const std::size_t last = seen.size() - 2;  // the last step may end at sigma = 0
    const int calls = seen[last].first - seen[last - 1].first, graphs = seen[last].second - seen[last - 1].second;
    BOOST_TEST_MESSAGE(name << ": " << graphs << " graphs and " << calls << " calls a step");
    BOOST_TEST(graphs == (std::string(name) == "heun" ? 2 : 1));
    BOOST_TEST(calls <= 16 * graphs);
    BOOST_TEST(waits[last] == waits[1], "the host waits in a step");
  }
}
#endif

// The state of every step is looked at while the next one is under way; what is wrong is said of the step that it came of.
BOOST_AUTO_TEST_CASE(numbers_that_are_none_are_reported_of_their_step) {
  int calls = 0;
  const auto spoilt_at = [&](int call, const Tensor& x) { return ++calls == call ? scale(x, 1e300) * 1e300 : x; };
  const auto message = [](const auto& work) -> std::string {
    try {
      work();
    } catch (const Error& e) {
      return e.what();
    }
    return "none";
  };
  const Tensor x = noise(1, {3, 6});
  Sampler sampler{
      .denoiser = {.net = {}}, .grid = make_grid("lambda", *vp_linear(), 6), .stepper = make_stepper("ddim")};
  for (const int step : {1, 3, 6}) {
    calls = 0;
    sampler.denoiser.net = [&](const Tensor& in, const Level&, const Tensors&) { return spoilt_at(step, in); };
    const std::string said = message([&] { static_cast<void>(sample(sampler, x, {})); });
    BOOST_TEST(said.find(fmt::format("step {} of 6 (t = ", step)) != std::string::npos, said);
  }
  for (const int step : {1, 4, 6}) {  // on the way back, which begins at the last step
    calls = 0;
    sampler.denoiser.net = [&](const Tensor& in, const Level&, const Tensors&) {
      const auto back = [&](const Tensors&, const Tensors&, const Tensors& g) {
        return Tensors{spoilt_at(step, g[0])};
      };
      return custom_derivative("net", [](const Tensors& at) { return at; }, back, {in})[0];
    };
    const GradientProblem problem{
        .sampler = sampler, .x_T = x, .p = {}, .loss = [](const Tensor& at) { return inner(at, at); }};
    const std::string said = message([&] { static_cast<void>(make_adjoint("checkpointed").gradient(problem)); });
    BOOST_TEST(said.find(fmt::format("step {} of 6 back (t = ", step)) != std::string::npos, said);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
