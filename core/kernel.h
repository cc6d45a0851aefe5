// The one dispatch point: a kernel is a constexpr slot with a name and a column per device.
//
// A kernel's functions share one signature, so its columns cannot drift apart; an empty column throws its own name and the
// build. Nothing outside this file, core/device.h, the kernels and gpu/ mentions a device by name.
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

#ifdef COSTATE_CUDA
inline constexpr bool built_with_cuda = true;
#else
inline constexpr bool built_with_cuda = false;
#endif

/// The CUDA column of a slot. Without CUDA it is empty, and `f`, which gpu/ defines, is never referred to.
template <class F>
consteval F* in_cuda_build(F* f) {
  return built_with_cuda ? f : nullptr;
}

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
    require(run != nullptr, "{}: no {} kernel in this build{}", name, name_of(device),
            built_with_cuda ? "" : " (built without CUDA); use --device cpu");
    run(args...);
  }
};

}  // namespace costate
