// Device memory of the shim: the host's, filled with NaN and fenced on both sides.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdlib>

namespace {

constexpr std::size_t fence = 256;  // bytes before and behind a block; keeps CUDA's alignment of 256
constexpr unsigned char fence_byte = 0xA5, fresh_byte = 0xFF;

int violations = 0;

struct Header {
  std::size_t bytes;
};

bool intact(const unsigned char* p, std::size_t n) {
  return std::all_of(p, p + n, [](unsigned char b) { return b == fence_byte; });
}

}  // namespace

int shim::guard_violations() { return violations; }

cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t stream) {
  if (!shim::allowed(stream)) return *p = nullptr, cudaErrorStreamCaptureUnsupported;
  const std::size_t whole = (bytes + 3 * fence - 1) / fence * fence;
  auto* block = static_cast<unsigned char*>(std::aligned_alloc(fence, whole));
  if (block == nullptr) return *p = nullptr, cudaErrorMemoryAllocation;
  std::memset(block, fence_byte, fence);
  new (block) Header{bytes};
  std::memset(block + fence, fresh_byte, bytes);
  std::memset(block + fence + bytes, fence_byte, whole - fence - bytes);
  *p = block + fence;
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** p, std::size_t bytes) {
  *p = std::malloc(bytes);
  return *p == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  if (!shim::allowed(stream)) return cudaErrorStreamCaptureUnsupported;
  auto* block = static_cast<unsigned char*>(p) - fence;
  const std::size_t bytes = reinterpret_cast<const Header*>(block)->bytes;
  if (!intact(block + sizeof(Header), fence - sizeof(Header)) || !intact(block + fence + bytes, fence)) ++violations;
  std::free(block);
  return cudaSuccess;
}
