// What the tests of products of bf16 share: the chain of sums that tiles of pairs promise, and the switch to machines without them.
#pragma once

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdint>

#include "core/kernels/micro.h"

namespace costate {

/// Decorates a case that only a machine with AVX512_BF16 can run; elsewhere Boost.Test reports it as skipped.
inline boost::test_tools::assertion_result machine_has_pairs(boost::unit_test::test_unit_id) {
  return cpu::has_pairs();
}

/// As on a machine without tiles of pairs, for the life of this object.
struct WithoutPairs {
  WithoutPairs() { cpu::use_pairs(false); }
  ~WithoutPairs() { cpu::use_pairs(true); }
};

/// sum continued by `length` products a(k) b(k): pair by pair, of each pair the second first.
template <class A, class B>
float pair_chain(float sum, std::int64_t length, const A& a, const B& b) {
  for (std::int64_t k = 0; k < length; k += 2) {
    if (k + 1 < length) sum = std::fma(static_cast<float>(a(k + 1)), static_cast<float>(b(k + 1)), sum);
    sum = std::fma(static_cast<float>(a(k)), static_cast<float>(b(k)), sum);
  }
  return sum;
}

}  // namespace costate
