// Measures the multiply-add peak on the register tile that convolutions and matrix products run in.
#include "core/peak.h"

#include <algorithm>
#include <chrono>

#include "core/kernels/micro.h"
#include "core/tensor.h"

namespace costate {
namespace {

/// Flops per second of one thread in the widest register tile, with data in the first cache: what a kernel can at best
/// reach.
double measure_peak() {
  const auto& tiles = cpu::tile_kernels<float>();
  const std::int64_t width = tiles.lanes * tiles.vectors, length = 1024, calls = 100;
  const Tensor a = Tensor::full({cpu::tile_rows, length}, 0.5), b = Tensor::full({width}, 0.5);
  Tensor c = Tensor::zeros({cpu::tile_rows, width});
  cpu::Segment<float> segment{{}, b.data<float>(), length};
  cpu::TileWork<float> work{&segment, 1, 1, 0, {}, width, false};
  for (std::int64_t r = 0; r < cpu::tile_rows; ++r) {
    segment.a[static_cast<std::size_t>(r)] = a.data<float>() + r * length;
    work.out[static_cast<std::size_t>(r)] = c.mutable_data<float>() + r * width;
  }
  double best = 0;
  for (int round = 0; round < 50; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < calls; ++i) tiles.run.back()[static_cast<std::size_t>(tiles.vectors - 1)](work);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(2 * cpu::tile_rows * width * length * calls) / took.count());
  }
  return best;
}

}  // namespace

double flops_peak() {
  static const double value = measure_peak();
  return value;
}

}  // namespace costate
