// Samplers and adjoints with their states on the device, against the CPU; noise bit for bit.
#include "autodiff/ops/sum.h"
#include "core/random.h"
#include "solvers/brownian_tree.h"
#include "solvers/optimiser.h"
#include "tests/solvers/problems.h"
#include "tests/support/inputs.h"

namespace costate {
namespace {

constexpr std::int64_t rows = 3;

Sampler sampler_on(const ExactProblem& problem, const std::string& name) {
  const auto schedule = vp_linear(1e-2);
  Sampler sampler = sampler_of(problem, name, make_grid("lambda", *schedule, 4), "{}", schedule);
  sampler.noise = fresh_noise(11, 0);
  return sampler;
}

Tensor start(Device device) { return normal_noise(5, 0, rows, 0, {2}, {DType::f64, device}); }

Tensor x_0(const std::string& name, Device device) {
  const auto problem = mixture(device);
  return sample(sampler_on(problem, name), start(device), problem.p);
}

Gradient gradient(const std::string& adjoint, const std::string& sampler, Device device) {
  const auto problem = mixture(device);
  return make_adjoint(adjoint).gradient(
      {.sampler = sampler_on(problem, sampler),
       .x_T = start(device),
       .p = problem.p,
       .wrt_p = Wanted(problem.p.size(), adjoint != "endpoint-fisher"),  // which has none
       .loss = [](const Tensor& x) { return 0.5 * inner(x, x); }});
}

/// The gradient, or the sentence that refuses the pair.
std::string refusal(const std::string& adjoint, const std::string& sampler, Device device, Gradient& found) {
  try {
    found = gradient(adjoint, sampler, device);
    return {};
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_solvers)

BOOST_AUTO_TEST_CASE(noise_has_the_same_bits) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto of = [&](Device device) {
      return normal_noise(123456789012345, (1ULL << 40) - 1, 3, 7, {5, 5, 3}, {dtype, device}).to(Device::cpu);
    };
    BOOST_TEST(same_bits(of(Device::cuda), of(Device::cpu)));
  }
  // over a part of a cell, several of them, and areas
  for (const auto& [from, to] : {std::pair{2.0, 1.0}, {1.3, 1.2999}, {30.0, 0.02}})
    for (const bool area : {false, true})
      for (const DType dtype : {DType::f32, DType::f64}) {
        const auto tree = [&](Device device) {
          return tree_noise(3, 5)({.step = 0, .area = area, .from = from, .to = to},
                                  Tensor::zeros({4, 67}, {dtype, device}));
        };
        BOOST_TEST((tree(Device::cuda).device() == Device::cuda));
        BOOST_TEST(same_bits(tree(Device::cuda).to(Device::cpu), tree(Device::cpu)), from << " to " << to);
      }
}

BOOST_AUTO_TEST_CASE(every_sampler_on_the_device) {
  for (const auto& name : sampler_names()) {
    const Tensor there = x_0(name, Device::cuda);
    BOOST_TEST((there.device() == Device::cuda));
    const double off = relative_difference(there.to(Device::cpu), x_0(name, Device::cpu));
    BOOST_TEST(off <= 1e-11, name << " is " << off << " off");
  }
}

BOOST_AUTO_TEST_CASE(every_adjoint_on_the_device) {
  for (const auto& adjoint : adjoints()) {
    int taken = 0;
    for (const char* sampler : {"ddim", "heun", "dpmpp-2m", "ddpm", "sde-dpmpp-1", "rex"}) {
      Gradient here, there;
      const std::string no = refusal(adjoint.name, sampler, Device::cpu, here);
      BOOST_TEST(refusal(adjoint.name, sampler, Device::cuda, there) == no);
      if (!no.empty()) continue;
      ++taken;
      BOOST_TEST((there.x_T.device() == Device::cuda));
      BOOST_TEST(relative_difference(there.x_T.to(Device::cpu), here.x_T) <= 1e-11, adjoint.name << " of " << sampler);
      for (std::size_t i = 0; i < here.p.size(); ++i)
        if (here.p[i].defined())
          BOOST_TEST(relative_difference(there.p[i].to(Device::cpu), here.p[i]) <= 1e-11,
                     adjoint.name << " of " << sampler << ", parameter " << i);
    }
    BOOST_TEST(taken > 0, adjoint.name << " took no sampler");
  }
}

BOOST_AUTO_TEST_CASE(optimisers_on_the_device) {
  for (const auto kind : {Optimiser::Kind::adam, Optimiser::Kind::sgd}) {
    const Optimiser how{.kind = kind, .momentum = 0.5};
    const auto after_three_steps = [&](Device device) {
      Optimiser::State state;
      Tensors x{start(device), Tensor::zeros({0, 2}, {DType::f64, device})};
      Tensors averages = average({}, x, 0.9);
      for (int step = 0; step < 3; ++step) {
        x = how.step(x, {x[0] * x[0], x[1]}, state);
        averages = average(averages, x, 0.9);
      }
      BOOST_TEST((x[0].device() == device && state.first[0].device() == device && averages[0].device() == device));
      return Tensors{x[0].to(Device::cpu), averages[0].to(Device::cpu)};
    };
    const Tensors here = after_three_steps(Device::cpu), there = after_three_steps(Device::cuda);
    for (std::size_t i = 0; i < here.size(); ++i) BOOST_TEST(relative_difference(there[i], here[i]) <= 1e-14);
    Optimiser::State state;
    check_throws([&] { return how.step({start(Device::cuda)}, {start(Device::cpu)}, state); },
                 {"optimiser", "cuda", "cpu"});
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
