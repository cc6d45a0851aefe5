// Sample i of seed S has the same bits in any batch and on any number of threads: every sampler, and options that draw more.
// The default shape is large enough for a batch to be cut between threads.
#include "core/parallel.h"
#include "core/random.h"
#include "solvers/brownian_tree.h"
#include "tests/solvers/problems.h"
#include "tests/support/inputs.h"

namespace costate {
namespace {

struct Method {
  std::string name, options = "{}";
};

/// Every sampler, and options with which others draw noise or draw more of it.
std::vector<Method> methods() {
  std::vector<Method> all;
  for (const auto& name : sampler_names()) all.push_back({name});
  const Method more[] = {{"ddim", R"({"eta": 0.6})"},
                         {"dpm-2", R"({"eta": 0.7})"},
                         {"dpm-3", R"({"eta": 1})"},
                         {"dpm-stages-3", R"({"eta": 1})"},
                         {"edm", R"({"S_churn": 3})"},
                         {"edm", R"({"S_churn": 3, "kind": "midpoint"})"},
                         {"consistency", R"({"gamma": 0.4})"},
                         {"ge", R"({"mu": 0.4})"},
                         {"langevin", R"({"size": "langevin", "times": 2})"},
                         {"langevin", R"({"size": "fixed", "curvature": 0.2})"},
                         {"pc", R"({"corrector": "ald", "predictor": "heun"})"},
                         {"rex", R"({"sde": "shark"})"},
                         {"sde-dpmpp-2s", R"({"eta": 0.5, "r": 0.3})"}};
  all.insert(all.end(), std::begin(more), std::end(more));
  return all;
}

/// N(0, 0.25) in any shape, as eps.
Net normal_net() {
  return [](const Tensor& x, const Level& at, const Tensors&) {
    return x * (at.sigma / (0.25 * at.alpha * at.alpha + at.sigma * at.sigma));
  };
}

constexpr std::int64_t samples = 4;
constexpr std::uint64_t seed = 17;

/// Samples [first, first + count), each of `one`.
Tensor sampled(const Method& method, const std::function<Noise(std::uint64_t, std::uint64_t)>& noise,
               std::uint64_t first, std::int64_t count, const Shape& one = {30, 80}) {
  const Sampler sampler{.denoiser = {.net = normal_net(), .dtype = DType::f64},
                        .grid = make_grid("lambda", *vp_linear(), 4),
                        .stepper = stepper_of(method.name, method.options),
                        .noise = noise(seed, first),
                        .schedule = vp_linear()};
  return sample(sampler, normal_noise(seed, first, count, 0, one), {});
}

BOOST_AUTO_TEST_SUITE(batches)

BOOST_AUTO_TEST_CASE(a_sample_is_the_same_in_any_batch_and_on_any_threads) {
  const int before = thread_count();
  int stochastic = 0;
  for (const Method& method : methods()) {
    const Stepper stepper = stepper_of(method.name, method.options);
    if (stepper.batching != Batching::any) {  // the command then makes batches of one, or one of all
      BOOST_TEST(stepper.evaluations == 0, method.name << " asks for its own batches");
      continue;
    }
    stochastic += stepper.eta > 0 ? 1 : 0;
    set_thread_count(1);
    const Tensor all = sampled(method, fresh_noise, 0, samples);
    const auto name = method.name + method.options;
    BOOST_TEST(same_bits(sampled(method, fresh_noise, 2, 1), all.rows(2, 1)), name << ", the third alone");
    BOOST_TEST(same_bits(sampled(method, fresh_noise, 1, 3), all.rows(1, 3)), name << ", the last three");
    for (const int threads : {2, 3}) {
      set_thread_count(threads);
      BOOST_TEST(same_bits(sampled(method, fresh_noise, 0, samples), all), name << " on " << threads << " threads");
    }
  }
  set_thread_count(before);
  BOOST_TEST(stochastic > 20);
}

// With the tree, too; whether the path stays when the steps change is for test_noise.cpp.
BOOST_AUTO_TEST_CASE(along_a_brownian_path_as_well) {
  for (const Method& method : methods()) {
    const Stepper stepper = stepper_of(method.name, method.options);
    if (stepper.batching != Batching::any || stepper.eta == 0) continue;
    const Tensor all = sampled(method, tree_noise, 0, 2, {30});
    BOOST_TEST(same_bits(sampled(method, tree_noise, 1, 1, {30}), all.rows(1, 1)), method.name << method.options);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
