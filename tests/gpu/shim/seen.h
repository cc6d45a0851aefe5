// For tests that have kernels of their own, each compiled as CMakeLists.txt says.
#pragma once

#include <boost/test/unit_test.hpp>

#include <cuda_runtime.h>

#include "tests/gpu/shim/races.h"

namespace {

/// Else the compiler does not say what kernels touch, and tests of that are skipped.
bool accesses_are_seen(boost::unit_test::test_unit_id) {
  const shim::RaceWatch watch;
  int some = 0;
  shim::run(dim3(1), dim3(1), [&] { *const_cast<volatile int*>(&some) = 1; });
  return watch.seen() > 0;
}

}  // namespace
