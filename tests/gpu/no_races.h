// What the shim can say of a test's kernels and a device cannot: that no two accesses race (tests/gpu/shim/races.h).
#pragma once

#include <boost/test/unit_test.hpp>

#include <cuda_runtime.h>

#ifdef COSTATE_SHIM
#include "tests/gpu/shim/races.h"
#endif

namespace costate {

/// f(), whose kernels' accesses are looked at, which takes some four times as long; complains about races.
template <class F>
auto without_races(const F& f) {
#ifdef COSTATE_SHIM
  const shim::RaceWatch watch;
  auto result = f();
  for (const auto& race : watch.found()) BOOST_ERROR(race);
  return result;
#else
  return f();
#endif
}

}  // namespace costate
