// What tests of repeated work share: noise on the device, and comparing what may still lie in memory that is written again.
#pragma once

#include "core/random.h"
#include "tests/support/inputs.h"

namespace costate {

inline constexpr Kind there{DType::f32, Device::cuda};

inline Tensor noise(std::uint64_t seed, const Shape& shape) {
  return normal_noise(seed, 0, shape[0], 0, Shape(shape.begin() + 1, shape.end()), there);
}

/// Overwrites memory that is free, so that a result which still lies there shows.
inline void scribble() {
  Tensors all;
  for (const std::int64_t n : {16, 64, 256, 1024, 70'000}) all.push_back(Tensor::full({n}, -7, there));
}

inline bool same(const Tensors& a, const Tensors& b) {
  bool all = a.size() == b.size();
  for (std::size_t i = 0; all && i < a.size(); ++i) {
    scribble();
    all =
        a[i].defined() == b[i].defined() && (!a[i].defined() || same_bits(a[i].to(Device::cpu), b[i].to(Device::cpu)));
  }
  return all;
}

}  // namespace costate
