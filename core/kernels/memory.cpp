// The host as a device.
#include "core/kernels/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/kernels/pointwise.h"

namespace costate {

void cpu::choose(int) {}

void cpu::open() {}

void cpu::allocate(std::size_t bytes, void*& p) {
  constexpr std::size_t line = 64, huge_page = std::size_t{2} << 20;
  const std::size_t alignment = bytes < huge_page ? line : huge_page;
  p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  // One page fault for 2 MiB instead of 512 of them; a wish only.
  if (p != nullptr && alignment == huge_page) static_cast<void>(madvise(p, bytes, MADV_HUGEPAGE));
}

void cpu::release(void* p) { std::free(p); }

void cpu::to_host(const void* from, void* to, std::size_t bytes) { std::memcpy(to, from, bytes); }

void cpu::from_host(const void* from, void* to, std::size_t bytes) { std::memcpy(to, from, bytes); }

void cpu::finish() {}

void cpu::fill(double value, Tensor& y) {
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    std::fill_n(y.mutable_data<T>(), y.size(), narrow<T>(value));
  });
}

}  // namespace costate
