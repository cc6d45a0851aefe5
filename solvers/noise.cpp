// Noise sources: none, fresh from the counter-based generator, recorded.
#include "solvers/noise.h"

#include <map>
#include <memory>
#include <tuple>

#include "autodiff/ops/cast.h"
#include "core/random.h"

namespace costate {
namespace {

constexpr int part_bits = 24;  // a draw's part, and above it area, lie above this many bits of the step counter
constexpr int area_bit = 31;

}  // namespace

Noise no_noise() {
  return [](const Draw& draw, const Tensor&) -> Tensor {
    fail("noise: step {} asked for some, but the sampler was given none; use fresh_noise or recorded_noise", draw.step);
  };
}

Noise fresh_noise(std::uint64_t seed, std::uint64_t first_sample) {
  return [=](const Draw& draw, const Tensor& like) {
    require(draw.step + 1 < 1 << part_bits && draw.part < 1 << (area_bit - part_bits),
            "noise: step {}, part {} is beyond the generator's counter", draw.step, draw.part);
    const Shape sample(like.shape().begin() + 1, like.shape().end());
    const auto counter = static_cast<std::uint32_t>(draw.area) << area_bit |
                         static_cast<std::uint32_t>(draw.part) << part_bits | static_cast<std::uint32_t>(draw.step + 1);
    return normal_noise(seed, first_sample, like.dim(0), counter, sample, like.kind());
  };
}

Noise recorded_noise(const Tensor& noise) {
  require(noise.rank() >= 1, "noise: recorded noise has shape {}, wants (draws, n, ...)", noise.shape());
  const auto order = std::make_shared<std::map<std::tuple<int, int, bool>, std::int64_t>>();  // of first requests
  return [noise, order](const Draw& draw, const Tensor& like) {
    const auto next = static_cast<std::int64_t>(order->size());
    const auto index = order->try_emplace({draw.step, draw.part, draw.area}, next).first->second;
    require(index < noise.dim(0), "noise: step {} asked for draw {} of a record of {}", draw.step, index + 1,
            noise.dim(0));
    const Shape one(noise.shape().begin() + 1, noise.shape().end());
    require(one == like.shape(), "noise: recorded for states {}, asked for {}", one, like.shape());
    return cast(noise.rows(index, 1).reshaped(one), like.dtype());
  };
}

}  // namespace costate
