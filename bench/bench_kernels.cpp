// Convolution and matrix product kernels: GFLOP/s and share of this machine's multiply-add peak.
//
// `peak` is that of f32 and counts nominal flops, padded positions included, so a kernel that skips them, or multiplies bf16, may
// pass 1. Arguments are threads.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/conv_shapes.h"
#include "bench/measured.h"
#include "core/kernels/conv2d.h"
#include "core/kernels/matmul.h"
#include "core/parallel.h"
#include "core/peak.h"

namespace costate {
namespace {

/// Runs `call` on state.range(0) threads; `flops` is the work of one call.
template <class F>
void measure(benchmark::State& state, std::int64_t flops, const F& call) {
  const int threads = static_cast<int>(state.range(0)), before = thread_count();
  const double one = flops_peak();
  set_thread_count(threads);
  const double best = least_seconds(state, call);
  set_thread_count(before);
  const auto work = static_cast<double>(flops);
  state.counters["GFLOPs"] = benchmark::Counter(work / 1e9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["best"] = work / best / 1e9;
  state.counters["peak"] = work / best / one / threads;
}

enum class Direction { forward, dx, dw };

void conv(benchmark::State& state, const ConvShape& s, Direction direction, DType dtype) {
  const std::int64_t pad = s.pad(), out = s.outputs();
  const ConvGeometry geometry{s.stride, s.stride, 1, 1, pad, pad, pad, pad, 1};
  const Tensor x = Tensor::full({s.batch, s.size, s.size, s.in}, 0.5, dtype),
               w = Tensor::full({s.kernel, s.kernel, s.in, s.out}, 0.25, dtype);
  const Tensor g = Tensor::full({s.batch, out, out, s.out}, 0.5, dtype);
  Tensor y = Tensor::empty(g.shape(), dtype), dx = Tensor::empty(x.shape(), dtype),
         dw = Tensor::empty(w.shape(), dtype);
  measure(state, s.flops(), [&] {
    if (direction == Direction::forward)
      cpu::conv2d(geometry, x, w, {}, {}, y);
    else if (direction == Direction::dx)
      cpu::conv2d_dx(geometry, g, w, {}, dx);
    else
      cpu::conv2d_dw(geometry, x, g, dw);
  });
}

struct Product {
  const char* name;
  std::int64_t batch, b_batch, m, n, k;
  bool ta, tb;
};

const Product products[] = {
    {"256x256x256", 1, 1, 256, 256, 256, false, false}, {"1024x128x1152", 1, 1, 1024, 128, 1152, false, false},
    {"1x512x128", 1, 1, 1, 512, 128, false, false},     {"4*256x256x256 qk'", 4, 4, 256, 256, 256, false, true},
    {"4*1x512x128", 4, 4, 1, 512, 128, false, false},   {"256x256x256 a'", 1, 1, 256, 256, 256, true, false}};

void matmul(benchmark::State& state, const Product& p, DType dtype) {
  const Tensor a = Tensor::full(p.ta ? Shape{p.batch, p.k, p.m} : Shape{p.batch, p.m, p.k}, 0.5, dtype);
  const Tensor b = Tensor::full(p.tb ? Shape{p.b_batch, p.n, p.k} : Shape{p.b_batch, p.k, p.n}, 0.5, dtype);
  Tensor c = Tensor::empty({p.batch, p.m, p.n}, dtype);
  measure(state, 2 * p.batch * p.m * p.n * p.k, [&] { cpu::matmul(p.ta, p.tb, a, b, {}, {}, c); });
}

const bool registered = [] {
  const char* names[] = {"fwd", "dx", "dw"};
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::string of = dtype == DType::bf16 ? " bf16" : "";
    for (const auto& shape : conv_shapes)
      for (const auto direction : {Direction::forward, Direction::dx, Direction::dw}) {
        if (direction == Direction::dw && dtype == DType::bf16) continue;  // which is in f32
        const std::string name = std::string("conv ") + shape.name + " " + names[static_cast<int>(direction)] + of;
        benchmark::RegisterBenchmark(name.c_str(), conv, shape, direction, dtype)->Apply(on_one_and_two_threads);
      }
    for (const auto& p : products)
      benchmark::RegisterBenchmark((std::string("matmul ") + p.name + of).c_str(), matmul, p, dtype)
          ->Apply(on_one_and_two_threads);
  }
  return true;
}();

}  // namespace
}  // namespace costate
