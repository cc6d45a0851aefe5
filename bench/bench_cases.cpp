// Every op case of a network's size: time, GFLOP/s, share of the multiply-add peak and GB/s, forward and with the way back.
//
// GFLOPs, peak and GBs are of the useful work the case file states: each input read once, the result written once.
// Arguments are threads.
#include <benchmark/benchmark.h>

#include "autodiff/transform.h"
#include "bench/peak.h"
#include "core/parallel.h"
#include "tests/support/inputs.h"

namespace costate {
namespace {

/// Reports `flops` and `bytes` a call as rates; a case without flops has no share of the peak.
void report_rates(benchmark::State& state, double flops, double bytes) {
  constexpr auto per_second = benchmark::Counter::kIsIterationInvariantRate;
  if (flops > 0) {
    state.counters["GFLOPs"] = benchmark::Counter(flops / 1e9, per_second);
    state.counters["peak"] = benchmark::Counter(flops / flops_peak() / static_cast<double>(state.range(0)), per_second);
  }
  state.counters["GBs"] = benchmark::Counter(bytes / 1e9, per_second);
}

template <class Call>
void measure(benchmark::State& state, double flops, double bytes, Call&& call) {
  const int before = thread_count();
  set_thread_count(static_cast<int>(state.range(0)));
  call();  // packs weights, warms the allocator
  for (auto _ : state) call();
  report_rates(state, flops, bytes);
  set_thread_count(before);
}

void forward(benchmark::State& state, const Case& c) {
  const Tensors in = case_inputs(c, DType::f32);
  measure(state, c.flops, case_bytes(in, c.run(in)), [&] { benchmark::DoNotOptimize(c.run(in)); });
}

/// Value and the gradients of all inputs; flops are not stated for these, so the time is the result.
void with_gradients(benchmark::State& state, const Case& c) {
  const Tensors in = case_inputs(c, DType::f32);
  const Tensor y = c.run(in), g = Tensor::full(y.shape(), 1);
  measure(state, 0, 2 * case_bytes(in, y), [&] {
    const Vjp at = vjp([&](const Tensors& t) { return Tensors{c.run(t)}; }, in, differentiable(c));
    benchmark::DoNotOptimize(at.pull_once({g}));
  });
}

/// Google Benchmark's own macro registers before main() in the same way.
const bool registered = [] {
  for (const auto& file : cases()) {
    for (const auto& c : file.cases) {
      if (!c.bench) continue;
      const std::string name = c.op + "/" + c.variant;
      benchmark::RegisterBenchmark(name.c_str(), forward, c)->Arg(1)->Arg(2)->UseRealTime();
      if (!c.constant)
        benchmark::RegisterBenchmark((name + "/vjp").c_str(), with_gradients, c)->Arg(1)->Arg(2)->UseRealTime();
    }
  }
  return true;
}();

}  // namespace
}  // namespace costate
