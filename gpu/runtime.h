// The device of this process: opened once, on first use; one stream; errors as costate::Error.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace costate::cuda {

/// Its number among the machine's.
int device();

/// Whether blocks can form clusters: on this device, by the code that it runs.
bool has_clusters();

/// Whether that code was built for compute capability 9.0 alone (sm_90a): a build for 90 that other chips may run as well has none of
/// gpu/ptx_sm90.h.
bool has_warp_group_code();

/// The stream that everything is queued on. Opens the device; throws where there is none.
cudaStream_t stream();

/// Throws unless `status` is a success; names `op` and what went wrong.
void check(const char* op, cudaError_t status);

/// Waits for all that is queued; throws what went wrong in it.
void wait(const char* op);

/// Sees what this thread queues, while it is the thread's watcher().
class Watcher {
 public:
  virtual ~Watcher() = default;
  // Each is asked before the call is made, and false keeps it from being made.
  virtual bool launches(const void* kernel, dim3 blocks, dim3 threads) = 0;
  virtual bool sends(const void* from, void* to, std::size_t bytes) = 0;
  virtual bool allocates() = 0;
  virtual bool releases(void* p) = 0;
  virtual void reads_back() = 0;

  cudaStream_t into{};  ///< where this thread queues meanwhile; null: as ever
};
Watcher*& watcher();

}  // namespace costate::cuda
