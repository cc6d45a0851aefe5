// The tree: which ticks of the path a draw stands for.
#include "solvers/brownian_tree.h"

#include <cmath>

#include "core/kernels/brownian_path.h"

namespace costate {

Noise tree_noise(std::uint64_t seed, std::uint64_t first_sample) {
  return [seed, first_sample, fresh = fresh_noise(seed, first_sample)](const Draw& draw, const Tensor& like) {
    if (draw.from == draw.to || !std::isfinite(draw.from)) return fresh(draw, like);
    const auto address = [](double s) { return static_cast<std::int64_t>(std::llround(-std::log(s) / path_tick)); };
    const std::int64_t from = address(draw.from), to = address(draw.to);
    require(from < to,
            "noise: the Brownian tree has no levels between s = {} and {}, which are less than 2^-{} apart in "
            "lambda; take fewer steps, or fresh noise",
            draw.from, draw.to, path_depth);
    const double h = std::log(draw.from / draw.to);  // as the sampler has it, so that steps add up to the path
    Tensor noise = Tensor::empty(like.shape(), like.kind());
    brownian_path_kernel(like.device(),
                         {.seed = seed,
                          .first_sample = first_sample,
                          .from = from,
                          .to = to,
                          .area = draw.area,
                          .unit = draw.area ? std::sqrt(12 / h) : std::sqrt(h)},
                         noise);
    return noise;
  };
}

}  // namespace costate
