// Device memory of the shim: the host's, filled with NaN and fenced on both sides.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

#include "tests/gpu/shim/races.h"

namespace {

constexpr std::size_t fence = 256;  // bytes before and behind a block; keeps CUDA's alignment of 256
constexpr unsigned char fence_byte = 0xA5, fresh_byte = 0xFF;

int violations = 0;

struct Header {
  std::size_t bytes;
  bool shared = false;  ///< a block's shared memory
};

std::map<std::uintptr_t, Header*> live;  // by the end of what may be written
std::mutex live_now;

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
  auto* const header = new (block) Header{bytes};
  std::memset(block + fence, fresh_byte, bytes);
  std::memset(block + fence + bytes, fence_byte, whole - fence - bytes);
  *p = block + fence;
  const std::scoped_lock lock(live_now);
  live.emplace(reinterpret_cast<std::uintptr_t>(*p) + bytes, header);
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
  {
    const std::scoped_lock lock(live_now);
    live.erase(reinterpret_cast<std::uintptr_t>(p) + bytes);
  }
  std::free(block);
  return cudaSuccess;
}

void shim::now_shared(const void* block) {
  reinterpret_cast<Header*>(static_cast<unsigned char*>(const_cast<void*>(block)) - fence)->shared = true;
}

bool shim::lies_in_device_memory(const void* p, std::size_t bytes) {
  const std::scoped_lock lock(live_now);
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  const auto block = live.upper_bound(at);
  return block != live.end() && at >= reinterpret_cast<std::uintptr_t>(block->second) + fence &&
         at + bytes <= block->first && !block->second->shared;
}

shim::Memory shim::memory_at(const void* p) {
  const std::scoped_lock lock(live_now);
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  const auto block = live.upper_bound(at);
  if (block == live.end() || at < reinterpret_cast<std::uintptr_t>(block->second) + fence) return Memory::none;
  return block->second->shared ? Memory::shared : Memory::device;
}
