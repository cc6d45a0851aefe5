// The solver layer of gradients alone: steps of a 32 x 32 x 3 state, there and back, whose network costs nothing.
#include <benchmark/benchmark.h>

#include "autodiff/ops/sum.h"
#include "core/random.h"
#include "solvers/adjoint.h"

namespace costate {
namespace {

constexpr int steps = 20;

/// Time per step: what an evaluation and a VJP of a network are to be compared with. The state is f64, as the command
/// keeps it; the network's side is f32.
void layer(benchmark::State& state, const std::string& adjoint, const std::string& sampler) {
  const SchedulePtr schedule = schedule_from(Config::parse(R"({"type": "ddpm"})", "bench"));
  const Net net = [](const Tensor& x, const Level&, const Tensors&) { return x; };
  Sampler of;
  of.denoiser.net = net;
  of.denoiser.dtype = DType::f32;
  of.grid = make_grid("lambda", *schedule, steps);
  of.stepper = make_stepper(sampler);
  of.schedule = schedule;
  GradientProblem problem;
  problem.sampler = of;
  problem.x_T = normal_noise(0, 0, 1, 0, {32, 32, 3});
  problem.loss = sum;
  const Adjoint method = make_adjoint(adjoint);
  for (auto _ : state) benchmark::DoNotOptimize(method.gradient(problem));
  state.counters["s/step"] =
      benchmark::Counter(steps, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

const bool registered = [] {
  for (const char* adjoint : {"direct", "checkpointed", "symplectic", "adjointdeis-1", "adjointdeis-2m"})
    benchmark::RegisterBenchmark((std::string("gradient layer/") + adjoint).c_str(), layer, adjoint, "ddim");
  benchmark::RegisterBenchmark("gradient layer/reversible", layer, "reversible", "o-belm");
  return true;
}();

}  // namespace
}  // namespace costate
