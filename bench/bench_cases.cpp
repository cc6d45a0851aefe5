// Every op case of a network's size: time, GFLOP/s, share of the multiply-add peak and GB/s, forward and with the way back.
//
// GFLOPs, peak and GBs are of the useful work the case file states: each input read once, the result written once.
// Arguments are threads.
#include <benchmark/benchmark.h>

#include <chrono>

#include "autodiff/transform.h"
#include "core/peak.h"
#include "core/parallel.h"
#include "tests/support/inputs.h"

namespace costate {
namespace {

/// Runs `call` on state.range(0) threads and reports the rates of its mean time; work of 0 has no rate.
template <class Call>
void measure(benchmark::State& state, double flops, double bytes, Call&& call) {
  const int threads = static_cast<int>(state.range(0)), before = thread_count();
  set_thread_count(threads);
  call();  // packs weights, warms the allocator
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) call();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double rate = static_cast<double>(state.iterations()) / took.count();
  if (flops > 0) state.counters["GFLOPs"] = flops * rate / 1e9;
  if (flops > 0) state.counters["peak"] = flops * rate / flops_peak() / threads;
  if (bytes > 0) state.counters["GBs"] = bytes * rate / 1e9;
  set_thread_count(before);
}

void forward(benchmark::State& state, const Case& c) {
  const Tensors in = case_inputs(c, DType::f32);
  const Tensor y = c.run(in);
  const bool view = y.run() < y.size() || &y.storage() == &in[0].storage();  // moves nothing
  measure(state, c.flops, view ? 0 : case_bytes(in, y), [&] { benchmark::DoNotOptimize(c.run(in)); });
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
