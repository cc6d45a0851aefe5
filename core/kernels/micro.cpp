// Chooses the register tiles of this machine's instruction set, and packs panels for them.
#include "core/kernels/micro.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/micro.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set; must precede highway.h

#include "core/kernels/micro-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::cpu::HWY_NAMESPACE {

template <class T, class Out = TileOut<T>>
const TileKernels<T, Out>* table() {
  static constexpr auto all =
      tiles<T, Out>(std::make_index_sequence<tile_rows>(), std::make_index_sequence<vectors_here>());
  return &all;
}

/// The same, or null where this instruction set has no tiles that go by pairs.
template <class T, class Out = TileOut<T>>
const TileKernels<T, Out>* table_of_pairs() {
#if HWY_TARGET == HWY_AVX3
  return table<T, Out>();
#else
  return nullptr;
#endif
}

const TileKernels<float>* tiles_f32() { return table<float>(); }
const TileKernels<double>* tiles_f64() { return table<double>(); }
const TileKernels<bf16>* tiles_bf16() { return table_of_pairs<bf16>(); }
const TileKernels<bf16, float>* tiles_bf16_f32() { return table_of_pairs<bf16, float>(); }
const TileKernels<std::int16_t>* tiles_i16() { return table_of_pairs<std::int16_t>(); }

}  // namespace costate::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <atomic>

#include "core/parallel.h"

namespace costate::cpu {

HWY_EXPORT(tiles_f32);
HWY_EXPORT(tiles_f64);
HWY_EXPORT(tiles_bf16);
HWY_EXPORT(tiles_bf16_f32);
HWY_EXPORT(tiles_i16);

template <>
const TileKernels<float>& tile_kernels() {
  return *HWY_DYNAMIC_DISPATCH(tiles_f32)();
}
template <>
const TileKernels<double>& tile_kernels() {
  return *HWY_DYNAMIC_DISPATCH(tiles_f64)();
}
template <>
const TileKernels<bf16>& tile_kernels() {
  return *HWY_DYNAMIC_DISPATCH(tiles_bf16)();
}
template <>
const TileKernels<bf16, float>& tile_kernels() {
  return *HWY_DYNAMIC_DISPATCH(tiles_bf16_f32)();
}
template <>
const TileKernels<std::int16_t>& tile_kernels() {
  return *HWY_DYNAMIC_DISPATCH(tiles_i16)();
}

namespace {

bool machine_has_pairs() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("avx512vnni") != 0 &&
         HWY_DYNAMIC_DISPATCH(tiles_bf16)() != nullptr;
#else
  return false;
#endif
}

std::atomic<bool> pairs_wanted{true};

}  // namespace

bool has_pairs() {
  static const bool here = machine_has_pairs();
  return here && pairs_wanted.load(std::memory_order_relaxed);
}
void use_pairs(bool where_possible) { pairs_wanted.store(where_possible, std::memory_order_relaxed); }

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

namespace {

/// Sixteen k at a time: of each cache line all is used while it is there, whichever way the panel lies in memory.
template <class T>
void pack_pairs(const T* in, std::int64_t k_step, std::int64_t c_step, std::int64_t length, std::int64_t count,
                std::int64_t width, T* out) {
  for (std::int64_t first = 0; first < length; first += 16) {
    const std::int64_t last = std::min(first + 16, length), pairs = tile_steps<T>(last - first);
    T* panel = out + first * width;
    for (std::int64_t c = 0; c < count; ++c)
      for (std::int64_t k = first; k < last; k += 2) {
        const T* from = in + k * k_step + c * c_step;
        T* to = panel + (k - first) * width + c * 2;
        to[0] = from[0];
        to[1] = k + 1 < last ? from[k_step] : T{};
      }
    for (std::int64_t pair = 0; pair < pairs; ++pair)
      std::fill(panel + (pair * width + count) * 2, panel + (pair + 1) * width * 2, T{});
  }
}

}  // namespace

template <class T>
void pack_panel(const T* in, std::int64_t k_step, std::int64_t c_step, std::int64_t length, std::int64_t count,
                std::int64_t width, T* out) {
  if constexpr (tile_depth<T> == 2) return pack_pairs(in, k_step, c_step, length, count, width, out);
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
template void pack_panel(const std::int16_t*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         std::int16_t*);
template void pack_panel(const bf16*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, bf16*);
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
