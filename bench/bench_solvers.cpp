// The solver layer alone: steps of a 12 KB state (32 x 32 x 3) whose network costs nothing.
#include <benchmark/benchmark.h>

#include "core/parallel.h"
#include "core/random.h"
#include "solvers/brownian_tree.h"
#include "solvers/sampler.h"

namespace costate {
namespace {

constexpr int steps = 20;

/// Time per evaluation of the network: what a network's own time is to be compared with. The state is f64, as
/// the command keeps it, or f32 (12 KB); the network's side is f32.
void layer(benchmark::State& state, const std::string& name, DType dtype, const Noise& noise) {
  const SchedulePtr schedule = schedule_from(Config::parse(R"({"type": "ddpm"})", "bench"));
  const Tensor x_T = normal_noise(0, 0, 1, 0, {32, 32, 3}, dtype);
  const Tensor out = normal_noise(1, 0, 1, 0, {32, 32, 3}, DType::f32);
  std::int64_t evaluations = 0;
  const Net net = [&](const Tensor&, const Level&, const Tensors&) { return ++evaluations, out; };
  Denoiser denoiser;
  denoiser.net = net;
  const Sampler sampler{.denoiser = denoiser,
                        .grid = make_grid("karras", *schedule, steps),
                        .stepper = make_stepper(name),
                        .noise = noise,
                        .schedule = schedule};
  for (auto _ : state) benchmark::DoNotOptimize(sample(sampler, x_T, {}));
  state.counters["s/evaluation"] =
      benchmark::Counter(static_cast<double>(evaluations), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

const bool registered = [] {
  for (const auto& name : sampler_names()) {
    if (make_stepper(name).evaluations == 0) continue;  // as many steps as a tolerance asks for
    benchmark::RegisterBenchmark(("solver layer/" + name).c_str(), layer, name, DType::f64, fresh_noise(2, 0));
  }
  benchmark::RegisterBenchmark("solver layer/ddim/f32", layer, "ddim", DType::f32, no_noise());
  benchmark::RegisterBenchmark("solver layer/sde-dpmpp-1/tree", layer, "sde-dpmpp-1", DType::f64, tree_noise(2, 0));
  return true;
}();

}  // namespace
}  // namespace costate
