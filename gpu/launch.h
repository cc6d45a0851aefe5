// Starting a kernel on the process's stream, with errors that name the op. What every .cu file includes.
#pragma once

#include "gpu/runtime.h"

namespace costate::cuda {

/// Bytes of shared memory that a block of this device may have.
inline std::size_t most_shared() {
  int bytes = 0;
  check("device cuda", cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device()));
  return static_cast<std::size_t>(bytes);
}

/// Multiprocessors of this device. Nothing that bits depend on may ask.
inline std::int64_t processors_here() {
  int count = 0;
  check("device cuda", cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device()));
  return count;
}

/// The first line of every kernel: on compute capability 9.0 and later it is started as the one before it ends, and waits here until
/// all work before it is done and seen. (Started any sooner, its blocks crowd where the other's have left room first: gpu/README.md.)
__device__ inline void kernel_begins() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Queues kernel(args...) on `blocks` of `threads`, each with `shared` bytes of dynamic shared memory; `cluster` neighbours along x run
/// at one time, and more than one only if has_clusters(). Returns before it has run; a failure while it runs is reported, with the
/// name of the op that was queued last, by the next call that waits.
template <class... P, class... A>
void launch_clusters(const char* op, unsigned cluster, dim3 blocks, dim3 threads, std::size_t shared,
                     void (*kernel)(P...), const A&... args) {
  if (watcher() != nullptr && !watcher()->launches(reinterpret_cast<const void*>(kernel), blocks, threads)) return;
  constexpr std::size_t unasked = 48 << 10;  // what a block may have without asking
  if (shared > unasked)
    check(op, cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(most_shared())));
  cudaLaunchConfig_t how{};
  how.gridDim = blocks;
  how.blockDim = threads;
  how.dynamicSmemBytes = shared;
  how.stream = stream();
  cudaLaunchAttribute asked[2]{};  // early start, clusters: chips that have clusters have both
  asked[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  asked[0].val.programmaticStreamSerializationAllowed = 1;
  asked[1].id = cudaLaunchAttributeClusterDimension;
  asked[1].val.clusterDim = {cluster, 1, 1};
  how.attrs = asked;
  how.numAttrs = cluster > 1 ? 2 : has_clusters() ? 1 : 0;
  check(op, cudaLaunchKernelEx(&how, kernel, static_cast<P>(args)...));
}

template <class... P, class... A>
void launch_shared(const char* op, dim3 blocks, dim3 threads, std::size_t shared, void (*kernel)(P...),
                   const A&... args) {
  launch_clusters(op, 1, blocks, threads, shared, kernel, args...);
}

template <class... P, class... A>
void launch(const char* op, dim3 blocks, dim3 threads, void (*kernel)(P...), const A&... args) {
  launch_shared(op, blocks, threads, 0, kernel, args...);
}

}  // namespace costate::cuda
