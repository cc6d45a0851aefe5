// Noise sources: none, fresh from the counter-based generator, recorded.
#include "solvers/noise.h"

#include "autodiff/ops/cast.h"
#include "core/random.h"

namespace costate {

Noise no_noise() {
  return [](int step, const Tensor&) -> Tensor {
    fail("noise: step {} asked for some, but the sampler was given none; use fresh_noise or recorded_noise", step);
  };
}

Noise fresh_noise(std::uint64_t seed, std::uint64_t first_sample) {
  return [=](int step, const Tensor& like) {
    const Shape sample(like.shape().begin() + 1, like.shape().end());
    return normal_noise(seed, first_sample, like.dim(0), static_cast<std::uint32_t>(step) + 1, sample, like.dtype());
  };
}

Noise recorded_noise(const Tensor& noise) {
  require(noise.rank() >= 1, "noise: recorded noise has shape {}, wants (steps, n, ...)", noise.shape());
  return [noise](int step, const Tensor& like) {
    require(step < noise.dim(0), "noise: step {} of a record of {} steps", step, noise.dim(0));
    const Shape one(noise.shape().begin() + 1, noise.shape().end());
    require(one == like.shape(), "noise: recorded for states {}, asked for {}", one, like.shape());
    return cast(noise.rows(step, 1).reshaped(one), like.dtype());
  };
}

}  // namespace costate
