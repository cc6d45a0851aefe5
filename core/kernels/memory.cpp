// The host as a device.
#include "core/kernels/memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/kernels/pointwise.h"

namespace costate {

void cpu::open() {}

void cpu::allocate(std::size_t bytes, void*& p) {
  constexpr std::size_t alignment = 64;
  p = std::aligned_alloc(alignment, bytes);
}

void cpu::release(void* p) { std::free(p); }

void cpu::to_host(const void* from, void* to, std::size_t bytes) { std::memcpy(to, from, bytes); }

void cpu::from_host(const void* from, void* to, std::size_t bytes) { std::memcpy(to, from, bytes); }

void cpu::fill(double value, Tensor& y) {
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    std::fill_n(y.mutable_data<T>(), y.size(), narrow<T>(value));
  });
}

}  // namespace costate
