// The one dispatch point: a kernel is a constexpr slot with a name and a column per device.
//
// A kernel's functions share one signature, so its columns cannot drift apart. The functions of the second column are declared
// weak: where nothing that is linked defines them, they are null, and calling one throws the kernel's name. Which devices there
// are is thus decided when a program is linked, and the library is the same for all. Nothing outside this file, core/device.h,
// core/memory.cpp, the kernels and gpu/ mentions a device by name.
#pragma once

#include "core/device.h"
#include "core/error.h"

namespace costate {

/// While one lives, kernels that this thread calls do nothing: a function run on ghosts gives results of the right shape, the
/// right counts of operations and the right tape, with values that mean nothing.
class DryRun {
 public:
  DryRun() { ++depth(); }
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;
  ~DryRun() { --depth(); }
  [[nodiscard]] static bool active() { return depth() > 0; }

 private:
  static int& depth() {
    thread_local int count = 0;
    return count;
  }
};

template <class Signature>
struct Kernel;

template <class... A>
struct Kernel<void(A...)> {
  const char* name;
  void (*cpu)(A...) = nullptr;
  void (*cuda)(A...) = nullptr;

  void operator()(Device device, A... args) const {
    if (!DryRun::active()) always(device, args...);
  }
  /// In a dry run, too: what has to happen there as well, like giving memory back.
  void always(Device device, A... args) const {
    auto* run = device == Device::cpu ? cpu : cuda;
    require(run != nullptr, "{}: no {} kernel in this program (built without CUDA); use the CPU", name,
            name_of(device));
    run(args...);
  }
};

}  // namespace costate
