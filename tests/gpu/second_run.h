// What the shim does beyond a device: its second runs turn the order of threads round, its memory is fenced.
#pragma once

#include <cuda_runtime.h>

#ifdef COSTATE_SHIM
namespace shim {
/// Kernels and copies so far that were queued one by one (stream.cpp).
int calls_queued();
}  // namespace shim
#endif

namespace costate {

#ifdef COSTATE_SHIM
/// While it lives, the threads of a block run in the opposite order.
class SecondRun {
 public:
  SecondRun() { shim::set_order(shim::Order::backward); }
  SecondRun(const SecondRun&) = delete;
  SecondRun& operator=(const SecondRun&) = delete;
  ~SecondRun() { shim::set_order(shim::Order::forward); }
};
inline int fences_broken() { return shim::guard_violations(); }
inline constexpr bool takes_turns = true;  ///< threads, one after the other
#else
/// A device has an order of its own each time.
class SecondRun {
 public:
  SecondRun() {}  // NOLINT(modernize-use-equals-default): an object that is only there is no unused variable
};
inline int fences_broken() { return 0; }
inline constexpr bool takes_turns = false;
#endif

}  // namespace costate
