// What the tests of products of bf16 share: the chain of sums that tiles of pairs promise, and the switch to machines without them.
#pragma once

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdint>

#include "core/kernels/micro.h"
#include "core/tensor.h"

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

inline Tensor in_f32(const Tensor& t) { return Tensor::from(t.to_vector(), t.shape()); }

/// How many of got are further from want than one rounding to bf16 and what sums of `length` products lose in f32.
inline std::int64_t badly_rounded(const Tensor& got, const Tensor& want, std::int64_t length) {
  const auto u = got.to_vector(), v = want.to_vector();
  std::int64_t wrong = 0;
  for (std::size_t i = 0; i < u.size(); ++i)
    wrong += std::abs(u[i] - v[i]) <= 0x1p-8 * std::abs(v[i]) + 0x1p-22 * static_cast<double>(length) ? 0 : 1;
  return wrong;
}

}  // namespace costate
