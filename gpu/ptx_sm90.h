// Instructions that only compute capability 9.0 has (target sm_90a): copies of boxes of tensors, barriers that count their bytes, and
// what a warp group, four warps of which the first is a multiple of four, does around its products (gpu/ptx_groups.h).
//
// tests/gpu/shim/gpu/ptx_sm90.h stands in for this file when gpu/ is compiled for the host. Code for other chips must not come here:
// `if constexpr (warp_groups_here)` keeps it away, and `has_warp_groups` (gpu/precision.h) its calls.
//
// A tile is lines of 128 bytes, 64 bf16 or 32 TF32, from a multiple of 1024 bytes on; word w (16 bytes) of line l stands at w ^ (l % 8). A factor
// whose terms lie along lines has a line a row; one that lies across has, for each 64 rows, 64 lines, a term each.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace costate::cuda {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
inline constexpr bool warp_groups_here = true;
#else
inline constexpr bool warp_groups_here = false;
#endif

/// Where boxes of a tensor lie and how large they are: gpu/tensor_map.h.
using TensorMap = CUtensorMap;

/// In shared memory: how many threads are still to come, and bytes to arrive, round after round.
using Arrival = std::uint64_t;

__device__ inline unsigned shared_address(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

/// Of rounds of so many threads.
__device__ inline void start_arrival(Arrival* arrival, unsigned threads) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(arrival)), "r"(threads) : "memory");
}

/// The copy engine has a way to shared memory of its own. Copies that start behind this come after what the thread has done there, and others of
/// whom it has heard: have started an arrival, have read what is now to be written over. (Products are over when they are waited for.)
__device__ inline void copies_follow() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// A thread comes; what it has read before may be written over by those that wait for the round.
__device__ inline void arrive(Arrival* arrival) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(arrival)) : "memory");
}

/// ... and so many bytes are to arrive in this round.
__device__ inline void expect_bytes(Arrival* arrival, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(arrival)), "r"(bytes)
               : "memory");
}

/// Waits for the end of a round; `odd` is whether its number, from 0 on, is.
__device__ inline void wait_for_round(Arrival* arrival, bool odd) {
  unsigned arrived = 0;
  while (arrived == 0)
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(arrived)
                 : "r"(shared_address(arrival)), "r"(unsigned{odd})
                 : "memory");
}

/// Starts copying the box from (i, j, k, l) on, the first of them along memory; zeros outside of the tensor.
__device__ inline void copy_box(void* to, const TensorMap& map, int i, int j, int k, int l, Arrival* arrival) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], "
      "[%6];" ::"r"(shared_address(to)),
      "l"(&map), "r"(i), "r"(j), "r"(k), "r"(l), "r"(shared_address(arrival))
      : "memory");
}

/// Starts copying so many bytes of device memory, words of 16.
__device__ inline void copy_bytes(void* to, const void* from, unsigned bytes, Arrival* arrival) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(to)),
               "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(shared_address(arrival))
               : "memory");
}

/// Starts copying a line of channels of as many pixels as the map says, from (column, row, image) on in the order in which a convolution goes
/// over them, each moved by (right, down); zeros outside of the picture.
__device__ inline void copy_patches(void* to, const TensorMap& map, int channel, int column, int row, int image,
                                    int right, int down, Arrival* arrival) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, "
      "%5}], [%6], "
      "{%7, %8};" ::"r"(shared_address(to)),
      "l"(&map), "r"(channel), "r"(column), "r"(row), "r"(image), "r"(shared_address(arrival)),
      "h"(static_cast<std::uint16_t>(right)), "h"(static_cast<std::uint16_t>(down))
      : "memory");
}

/// 32 bytes of terms of a tile, as a product of a warp group is told of them.
struct Terms {
  std::uint64_t bits;

  /// From `shared` on, a multiple of 1024 bytes but for whole terms; for a factor that lies across, each 64 rows follow `rows_64` bytes
  /// after those before.
  __device__ Terms(const void* shared, unsigned rows_64)
      : bits(std::uint64_t{(shared_address(shared) & 0x3FFFFU) >> 4} | std::uint64_t{rows_64 >> 4} << 16 |
             std::uint64_t{1024 >> 4} << 32 | std::uint64_t{1} << 62) {}
  /// So many bytes further on.
  __device__ Terms operator+(int more) const {
    return Terms(bits >> 32 << 32 | (static_cast<unsigned>(bits) + static_cast<unsigned>(more) / 16));
  }

 private:
  __device__ explicit Terms(std::uint64_t b) : bits(b) {}
};

/// Before the first product, and before one whose registers have been touched.
__device__ inline void products_may_start() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

/// Ends a group of products.
__device__ inline void products_end_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// Waits until at most the last `n` groups are under way; sums may be read, and factors in registers written over, after 0.
template <int n>
__device__ void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(n) : "memory");
}

/// Behind products_wait<0>: registers of products stay theirs up to here. (The compiler sees no tie between them and the wait.)
template <int n>
__device__ void products_let_go(float (&c)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) asm volatile("" : "+f"(c[i])::"memory");
}
template <int n>
__device__ void products_let_go(std::uint32_t (&a)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) asm volatile("" : "+r"(a[i])::"memory");
}

}  // namespace costate::cuda
