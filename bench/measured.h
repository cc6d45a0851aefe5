// How kernels are timed, ours and those of others.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

namespace costate {

/// Seconds of the fastest of as many calls as Google Benchmark asks for, after one that packs weights.
template <class F>
double least_seconds(benchmark::State& state, const F& call) {
  call();
  double best = 1e30;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    call();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// For Benchmark::Apply: the argument is a number of threads.
inline void on_one_and_two_threads(benchmark::internal::Benchmark* b) { b->Arg(1)->Arg(2)->UseRealTime(); }

}  // namespace costate
