// The few machine instructions that CUDA C++ has no name for: asynchronous copies, clusters of blocks, matrix loads, products on
// tensor cores, 2^x and 1 / x at their fastest, two roundings to bf16 in one.
//
// tests/gpu/shim/gpu/ptx.h stands in for this file when gpu/ is compiled for the host. Chips before sm_80 copy at once and have no
// bf16 or TF32 product: `has_tensor_cores` (gpu/precision.h) keeps such work from them.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/dtype.h"

namespace costate::cuda {

/// The block's dynamic shared memory.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char costate_shared[];
  return reinterpret_cast<T*>(costate_shared);
}

/// 2^x by the chip's unit for it, within two units of the last place; 0 where that is below the normal numbers.
__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline double power_of_two(double x) { return exp2(x); }

/// Two numbers as bf16, rounded to nearest even, the first in the lower half.
__device__ inline std::uint32_t bf16_pair(float low, float high) {
#if __CUDA_ARCH__ >= 800
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return bf16(low).bits | static_cast<std::uint32_t>(bf16(high).bits) << 16;
#endif
}

/// 16 bytes of device memory to shared memory; zeros, and nothing read, unless `inside`.
__device__ inline void copy_16(void* shared, const void* from, bool inside) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(inside ? 16 : 0) : "memory");
#else
  *static_cast<uint4*>(shared) = inside ? *static_cast<const uint4*>(from) : uint4{};
#endif
}

/// One word of device memory to shared memory: with the group if it has 4, 8 or 16 bytes, else at once. Its neighbours in the line
/// are likely wanted by other blocks, and come to the cache as well.
template <class Word>
__device__ void copy_word(Word* shared, const Word* from) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (sizeof(Word) == 16) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
    return;
  } else if constexpr (sizeof(Word) == 8 || sizeof(Word) == 4) {
    asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], %2;" ::"r"(to), "l"(from), "n"(sizeof(Word))
                 : "memory");
    return;
  }
#endif
  *shared = *from;
}

/// A word of device memory in one go, and no sooner or later than it stands here. Its neighbours in the line are likely wanted by other
/// blocks, and come to the cache as well.
template <class Word>
__device__ Word load_word(const void* from) {
  const auto at = __cvta_generic_to_global(from);
  if constexpr (sizeof(Word) == 16) {
    uint4 w;
    asm volatile("ld.global.L2::128B.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(w.x), "=r"(w.y), "=r"(w.z), "=r"(w.w)
                 : "l"(at));
    return std::bit_cast<Word>(w);
  } else if constexpr (sizeof(Word) == 8) {
    uint2 w;
    asm volatile("ld.global.L2::128B.v2.b32 {%0, %1}, [%2];" : "=r"(w.x), "=r"(w.y) : "l"(at));
    return std::bit_cast<Word>(w);
  } else {
    return *static_cast<const Word*>(from);
  }
}

/// `word` to device memory in one go: an assignment of 8 or 16 bytes is taken apart wherever nvcc cannot tell how they are aligned.
template <class Word>
__device__ void store_word(void* to, const Word& word) {
  const auto at = __cvta_generic_to_global(to);
  if constexpr (sizeof(Word) == 16) {
    const auto w = std::bit_cast<uint4>(word);
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(at), "r"(w.x), "r"(w.y), "r"(w.z), "r"(w.w)
                 : "memory");
  } else if constexpr (sizeof(Word) == 8) {
    const auto w = std::bit_cast<uint2>(word);
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(at), "r"(w.x), "r"(w.y) : "memory");
  } else {
    *static_cast<Word*>(to) = word;
  }
}

/// Ends a group of this thread's copies.
__device__ inline void copies_end_group() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most the last `n` groups are under way.
template <int n>
__device__ void copies_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
#endif
}

/// What every thread of a cluster has written before it arrives is there for all after they have waited. Clusters are of chips from
/// sm_90 on (has_clusters, gpu/runtime.h).
__device__ inline void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}
/// Of a thread that has written nothing for others, but read.
__device__ inline void cluster_arrive_without_news() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}
__device__ inline void cluster_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

/// Where block `rank` of the cluster has what this block has at `shared`.
template <class T>
__device__ const T* of_block(const T* shared, unsigned rank) {
#if __CUDA_ARCH__ >= 900
  std::uint64_t there = 0;
  asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(shared), "r"(rank));
  return reinterpret_cast<const T*>(there);
#else
  return shared;
#endif
}

/// 1 / x to 2^-22 of itself; 0 where that is below the normal numbers.
__device__ inline float fast_reciprocal(float x) {
  float y = 0;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Four matrices of 8 x 8 two-byte elements. Lane l gives the address of row l % 8 of matrix l / 8 and gets, of each matrix, elements
/// 2 (l % 4) and the next of row l / 4; of its transpose if `transposed`.
template <bool transposed>
__device__ void load_matrices(std::uint32_t (&out)[4], const void* row) {
#if __CUDA_ARCH__ >= 750
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(at)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(at)
                 : "memory");
#endif
}

/// c += a b for a of 16 x 16, b of 16 x 8, in f32. With g = lane / 4 and p = 2 (lane % 4), a lane holds the pairs a(g, p), a(g + 8, p),
/// a(g, p + 8), a(g + 8, p + 8); the pairs down a column b(p, g), b(p + 8, g); and c(g, p), c(g, p + 1), c(g + 8, p), c(g + 8, p + 1).
__device__ inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  __trap();
#endif
}

/// c = a b, as multiply_add has them.
__device__ inline void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, "
      "%10, %10};"
      : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0F));
#else
  __trap();
#endif
}

/// The nearest number with ten bits behind the leading one, ties away from zero: a factor of multiply_add_tf32.
__device__ inline std::uint32_t to_tf32(float x) {
#if __CUDA_ARCH__ >= 800
  std::uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
  return rounded;
#else
  __trap();
  return 0;
#endif
}

/// c += a b for a of 16 x 8, b of 8 x 8, in f32. With g = lane / 4 and p = lane % 4, a lane holds a(g, p), a(g + 8, p), a(g, p + 4),
/// a(g + 8, p + 4); b(p, g), b(p + 4, g); and of c what multiply_add has.
__device__ inline void multiply_add_tf32(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                         std::uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  __trap();
#endif
}

}  // namespace costate::cuda
