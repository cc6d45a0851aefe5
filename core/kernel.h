// The one dispatch point: a kernel is a constexpr slot with a name and a column per device.
//
// A kernel's functions share one signature, so its columns cannot drift apart; an empty column throws its own name and the
// build. Nothing outside this file, core/device.h and gpu/ mentions a device by name.
#pragma once

#include "core/device.h"
#include "core/error.h"

namespace costate {

template <class Signature>
struct Kernel;

template <class... A>
struct Kernel<void(A...)> {
  const char* name;
  void (*cpu)(A...) = nullptr;
  void (*cuda)(A...) = nullptr;

  void operator()(Device device, A... args) const {
    auto* run = device == Device::cpu ? cpu : cuda;
    require(run != nullptr, "{}: no {} kernel in this build (built without CUDA)", name, name_of(device));
    run(args...);
  }
};

}  // namespace costate
