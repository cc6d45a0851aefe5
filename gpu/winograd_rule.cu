// When Winograd's convolutions run: where an estimate says that they take less time than the direct one.
#include <algorithm>

#include "core/kernels/matmul.h"
#include "gpu/convolution.h"
#include "gpu/gemm.h"
#include "gpu/winograd.h"

namespace costate::cuda {
namespace {

using Tile = Tiles<float>::Small;

// Of an H200, a microsecond, measured there on 27 November 2026: with them time_of gives what direct and Winograd's convolutions of 128 to
// 640 channels at 4 to 64 pixels take, in batches within a sixth and for one image within three tenths.
constexpr double multiply_adds = 19e6;
constexpr double memory = 4.8e6, cache = 2 * memory;  // bytes
constexpr double transform = 1.2;                     // microseconds of a transform of few tiles, beside its bytes

struct Layer {
  std::int64_t height, width, in, columns;
};

/// Microseconds of products by tiles in pieces, as gpu/gemm.h would choose; `write`: terms that storing a tile's sums takes.
double product(std::int64_t problems, std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t chain,
               double write) {
  const std::int64_t piece = piece_of(k, chain), blocks = problems * pieces_of(m, Tile::m) * pieces_of(n, Tile::n);
  const double time = std::min(time_of(blocks, static_cast<double>(k) + write),
                               time_apart<Tile>(blocks, pieces_of(k, piece), static_cast<double>(piece)));
  return time * Tile::m * Tile::n * processors / multiply_adds;
}

double direct_time(const Layer& l, std::int64_t images) {
  return product(1, images * l.height * l.width, l.columns, 9 * l.in, convolution_chain, 0);
}

/// Transformed tiles and products go through the cache twice, once beside multiply-adds that hide it; the weights of all points come from
/// memory in each stretch of tiles.
double winograd_time(const Layer& l, int m, std::int64_t images) {
  const std::int64_t points = (m + 2) * (m + 2), channels = l.in + l.columns,
                     tiles = images * pieces_of(l.height, m) * pieces_of(l.width, m),
                     stretches = pieces_of(tiles * points * channels * 4, winograd_workspace),
                     each = pieces_of(tiles, stretches);
  const double pixels = static_cast<double>(images * l.height * l.width) / static_cast<double>(stretches);
  const double weights = static_cast<double>(points * l.in * l.columns * 4) / memory,
               moved = static_cast<double>(points * each * channels * 4) / cache +
                       pixels * static_cast<double>(channels * 4) / memory;
  return static_cast<double>(stretches) *
         (std::max(product(points, each, l.columns, l.in, winograd_chain, Tile::write / 2.0), weights) + moved +
          2 * transform);
}

}  // namespace

// The batch may not be asked. So a batch of 16 must gain a fifth, and one image, which three kernels with little work each and weights 4 or
// 1.8 times as long may hold up, must not lose more than half.
int winograd_outputs(std::int64_t height, std::int64_t width, std::int64_t in, std::int64_t columns) {
  constexpr std::int64_t batch = 16;
  constexpr double least_gain = 1.25, most_loss = 1.5;
  const Layer l{height, width, in, columns};
  double least = direct_time(l, batch) / least_gain;
  int best = 0;
  for (const int m : {4, 2}) {
    const double time = winograd_time(l, m, batch);
    if (time < least && winograd_time(l, m, 1) <= most_loss * direct_time(l, 1)) least = time, best = m;
  }
  return best;
}

int winograd_outputs(const ConvGeometry& g, const Tensor& source, const Tensor& w, const Tensor& out) {
  constexpr std::int64_t word = 4;  // channels in 16 bytes
  if (source.dtype() != DType::f32 || conv_algorithm(Device::cuda) == ConvAlgorithm::direct ||
      products_in_f32() != Products::full || !can_be_winograd(g, w) || out.size() == 0 || source.dim(3) % word != 0 ||
      out.dim(3) % word != 0 || !aligned_16(source.device_data<float>()) || !aligned_16(w.device_data<float>()))
    return 0;
  return winograd_outputs(out.dim(1), out.dim(2), source.dim(3), out.dim(3));
}

}  // namespace costate::cuda
