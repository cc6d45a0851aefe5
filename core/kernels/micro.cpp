// Chooses the register tiles of this machine's instruction set, and packs panels for them.
#include "core/kernels/micro.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/micro.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set; must precede highway.h

#include "core/kernels/micro-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::cpu::HWY_NAMESPACE {

const TileKernels<float>& tiles_f32() {
  static constexpr auto table =
      tiles<float>(std::make_index_sequence<tile_rows>(), std::make_index_sequence<vectors_here>());
  return table;
}

const TileKernels<double>& tiles_f64() {
  static constexpr auto table =
      tiles<double>(std::make_index_sequence<tile_rows>(), std::make_index_sequence<vectors_here>());
  return table;
}

}  // namespace costate::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>

#include "core/parallel.h"

namespace costate::cpu {

HWY_EXPORT(tiles_f32);
HWY_EXPORT(tiles_f64);

template <>
const TileKernels<float>& tile_kernels<float>() {
  return HWY_DYNAMIC_DISPATCH(tiles_f32)();
}
template <>
const TileKernels<double>& tile_kernels<double>() {
  return HWY_DYNAMIC_DISPATCH(tiles_f64)();
}

std::vector<ColumnBlock> column_blocks(std::int64_t groups, std::int64_t per_group, std::int64_t lanes,
                                       std::int64_t vectors) {
  std::vector<ColumnBlock> blocks;
  blocks.reserve(static_cast<std::size_t>(groups * ((per_group + lanes * vectors - 1) / (lanes * vectors))));
  std::int64_t offset = 0;
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t first = 0; first < per_group; first += lanes * vectors) {
      const std::int64_t count = std::min(per_group - first, lanes * vectors);
      const std::int64_t needed = (count + lanes - 1) / lanes;
      blocks.push_back({g * per_group + first, count, g, needed, needed * lanes, offset});
      offset += needed * lanes;
    }
  return blocks;
}

template <class T>
void pack_panel(const T* in, std::int64_t k_step, std::int64_t c_step, std::int64_t length, std::int64_t count,
                std::int64_t width, T* out) {
  // Six at a time is too short for a call of memmove per k; the weight gradient and transposed factors pack that way.
  if (c_step == 1 && count == tile_rows && width == tile_rows) {
    for (std::int64_t k = 0; k < length; ++k, in += k_step, out += tile_rows)
      for (std::int64_t c = 0; c < tile_rows; ++c) out[c] = in[c];
    return;
  }
  if (c_step == 1) {
    for (std::int64_t k = 0; k < length; ++k, in += k_step, out += width) {
      std::copy_n(in, count, out);
      std::fill_n(out + count, width - count, T{});
    }
    return;
  }
  // A transposition: sixteen k at a time, so that each cache line read is used up while it is there.
  for (std::int64_t first = 0; first < length; first += 16) {
    const std::int64_t last = std::min(first + 16, length);
    for (std::int64_t c = 0; c < count; ++c)
      for (std::int64_t k = first; k < last; ++k) out[k * width + c] = in[k * k_step + c * c_step];
    for (std::int64_t k = first; k < last; ++k) std::fill(out + k * width + count, out + (k + 1) * width, T{});
  }
}

template void pack_panel(const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*);
template void pack_panel(const double*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, double*);

void parallel_tiles(std::int64_t pieces, std::int64_t tiles, std::int64_t flops,
                    const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& work) {
  constexpr std::int64_t grain = 500'000;  // about 5 us: ten times what handing out a task costs
  const std::int64_t units = pieces * tiles, each = std::max<std::int64_t>(1, grain / std::max<std::int64_t>(flops, 1));
  const std::int64_t tasks = (units + each - 1) / each;
  parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t last = units * (task + 1) / tasks;
    for (std::int64_t unit = units * task / tasks; unit < last;) {
      const std::int64_t piece = unit / tiles, end = std::min(last, (piece + 1) * tiles);
      work(piece, unit - piece * tiles, end - piece * tiles);
      unit = end;
    }
  });
}

}  // namespace costate::cpu
#endif  // HWY_ONCE
