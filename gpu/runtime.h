// The device of this process: opened once, on first use; one stream; errors as costate::Error.
#pragma once

#include <cuda_runtime.h>

namespace costate::cuda {

/// Its number among the machine's.
int device();

/// The stream that everything is queued on. Opens the device; throws where there is none.
cudaStream_t stream();

/// Throws unless `status` is a success; names `op` and what went wrong.
void check(const char* op, cudaError_t status);

/// Waits for all that is queued; throws what went wrong in it.
void wait(const char* op);

}  // namespace costate::cuda
