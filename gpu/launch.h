// Starting a kernel on the process's stream, with errors that name the op. What every .cu file includes.
#pragma once

#include "gpu/runtime.h"

namespace costate::cuda {

/// Queues kernel(args...) on `blocks` of `threads`. Returns before it has run; a failure while it runs is reported, with the
/// name of the op that was queued last, by the next call that waits.
template <class... P, class... A>
void launch(const char* op, dim3 blocks, dim3 threads, void (*kernel)(P...), const A&... args) {
  cudaLaunchConfig_t how{};
  how.gridDim = blocks;
  how.blockDim = threads;
  how.stream = stream();
  check(op, cudaLaunchKernelEx(&how, kernel, static_cast<P>(args)...));
}

}  // namespace costate::cuda
