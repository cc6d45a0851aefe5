// The CUDA device: opening, the stream, raw memory and transfers.
#include "gpu/runtime.h"

#include "core/kernels/memory.h"

namespace costate::cuda {
namespace {

/// What was queued last: the best guess at what failed, since kernels run after their launch has returned.
const char* last_op = "nothing";

/// Is in the build for every chip that the kernels are in.
__global__ void probe() {}

struct Runtime {
  cudaStream_t stream{};

  Runtime() {
    int devices = 0;
    const cudaError_t found = cudaGetDeviceCount(&devices);
    require(found == cudaSuccess && devices > 0, "device cuda: {}; use --device cpu",
            found == cudaSuccess ? "this machine has no CUDA device" : cudaGetErrorString(found));
    cudaDeviceProp about{};
    check("device cuda", cudaGetDeviceProperties(&about, 0));
    check("device cuda", cudaSetDevice(0));
    cudaFuncAttributes code{};
    const cudaError_t built = cudaFuncGetAttributes(&code, reinterpret_cast<const void*>(probe));
    require(built == cudaSuccess,
            "device cuda: {} has compute capability {}.{}, for which this build has no code; build with "
            "-DCMAKE_CUDA_ARCHITECTURES={}{}",
            about.name, about.major, about.minor, about.major, about.minor);
    check("device cuda", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  }
};

/// Made at first use and never destroyed: tensors of static lifetime may be freed after it otherwise. A failure is tried again.
Runtime& runtime() {
  static Runtime& made = *new Runtime;
  return made;
}

}  // namespace

cudaStream_t stream() { return runtime().stream; }

void check(const char* op, cudaError_t status) {
  if (status == cudaSuccess) {
    last_op = op;
    return;
  }
  static_cast<void>(cudaGetLastError());  // an error that does not stick is not met again by the next call
  fail("{}: CUDA: {} ({}); queued before it: {}", op, cudaGetErrorString(status), cudaGetErrorName(status), last_op);
}

void wait(const char* op) { check(op, cudaStreamSynchronize(stream())); }

void open() { runtime(); }

void allocate(std::size_t bytes, void*& p) {
  runtime();
  const cudaError_t status = cudaMalloc(&p, bytes);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    p = nullptr;
    return;
  }
  check("allocate", status);
}

// Blocks come back to the allocator while work on them may still be queued; cudaFree waits for it.
void release(void* p) { static_cast<void>(cudaFree(p)); }

void to_host(const void* from, void* to, std::size_t bytes) {
  check("to_host", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()));
  wait("to_host");
}

void from_host(const void* from, void* to, std::size_t bytes) {
  check("from_host", cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream()));
  wait("from_host");
}

}  // namespace costate::cuda
