// What the allocator and tensors need of a device: opening it, raw memory, bytes to and from the host, one value everywhere.
#pragma once

#include <cstddef>

#include "core/kernel.h"
#include "core/tensor.h"

namespace costate {

namespace cpu {
void choose(int which);
void open();
void allocate(std::size_t bytes, void*& p);
void release(void* p);
void to_host(const void* from, void* to, std::size_t bytes);
void from_host(const void* from, void* to, std::size_t bytes);
void fill(double value, Tensor& y);
void finish();
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::choose) choose;
[[gnu::weak]] decltype(cpu::open) open;
[[gnu::weak]] decltype(cpu::allocate) allocate;
[[gnu::weak]] decltype(cpu::release) release;
[[gnu::weak]] decltype(cpu::to_host) to_host;
[[gnu::weak]] decltype(cpu::from_host) from_host;
[[gnu::weak]] decltype(cpu::fill) fill;
[[gnu::weak]] decltype(cpu::finish) finish;
}  // namespace cuda

/// Which of several devices of its kind this process opens, counted round and round. Before the first use.
inline constexpr Kernel<void(int)> choose_kernel{"device", cpu::choose, cuda::choose};
/// Throws, saying why, where the device cannot be used: no driver, no device, a chip this build has no code for.
inline constexpr Kernel<void()> open_kernel{"device", cpu::open, cuda::open};
/// Aligned raw memory, or a null pointer where none is left.
inline constexpr Kernel<void(std::size_t, void*&)> allocate_kernel{"allocate", cpu::allocate, cuda::allocate};
inline constexpr Kernel<void(void*)> release_kernel{"release", cpu::release, cuda::release};
/// After the work queued before it. The host's side may be used at once when they return.
inline constexpr Kernel<void(const void*, void*, std::size_t)> to_host_kernel{"to_host", cpu::to_host, cuda::to_host};
inline constexpr Kernel<void(const void*, void*, std::size_t)> from_host_kernel{"from_host", cpu::from_host,
                                                                                cuda::from_host};
/// Waits for all that was queued; throws what went wrong in it.
inline constexpr Kernel<void()> finish_kernel{"finish", cpu::finish, cuda::finish};
/// Every element of y is `value`, rounded to its dtype.
inline constexpr Kernel<void(double, Tensor&)> fill_kernel{"fill", cpu::fill, cuda::fill};

}  // namespace costate
