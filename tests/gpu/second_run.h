// What the shim does beyond a device: its second runs turn the order of threads round and look for races, its memory is fenced, it may be
// another chip.
#pragma once

#include <boost/test/unit_test.hpp>

#include <cuda_runtime.h>

#ifdef COSTATE_SHIM
#include "tests/gpu/shim/races.h"
#endif

namespace costate {

#ifdef COSTATE_SHIM
/// While it lives, the threads of a block run in the opposite order, and each of their accesses is looked at: no two may race.
class SecondRun {
 public:
  SecondRun() { shim::set_order(shim::Order::backward); }
  SecondRun(const SecondRun&) = delete;
  SecondRun& operator=(const SecondRun&) = delete;
  ~SecondRun() {
    shim::set_order(shim::Order::forward);
    for (const auto& race : watch_.found()) BOOST_ERROR(race);
  }

 private:
  shim::RaceWatch watch_;
};
/// While it lives, the device says that it is of compute capability 8.
class OlderChip {
 public:
  OlderChip() { shim::set_capability(8); }
  OlderChip(const OlderChip&) = delete;
  OlderChip& operator=(const OlderChip&) = delete;
  ~OlderChip() { shim::set_capability(9); }
};
inline int fences_broken() { return shim::guard_violations(); }
inline int kernels_queued() { return shim::calls_queued(); }
inline constexpr bool takes_turns = true;  ///< threads, one after the other
#else
/// A device has an order of its own each time.
class SecondRun {
 public:
  SecondRun() {}  // NOLINT(modernize-use-equals-default): an object that is only there is no unused variable
};
class OlderChip {
 public:
  OlderChip() {}  // NOLINT(modernize-use-equals-default): as above
};
inline int fences_broken() { return 0; }
inline int kernels_queued() { return 0; }  ///< as far as can be told
inline constexpr bool takes_turns = false;
#endif

}  // namespace costate
