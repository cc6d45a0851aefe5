// Noise as a tensor.
#include "core/random.h"

#include "core/kernels/noise.h"

namespace costate {

Tensor normal_noise(std::uint64_t seed, std::uint64_t first_sample, std::int64_t count, std::uint32_t step,
                    const Shape& sample_shape, Kind kind) {
  Tensor noise = Tensor::empty(sample_shape.with_front(count), kind);
  noise_kernel(kind.device, {seed, first_sample, step}, noise);
  return noise;
}

}  // namespace costate
