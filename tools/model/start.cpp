// Noise in the prior's scale.
#include "tools/model/start.h"

#include "autodiff/ops/add.h"
#include "autodiff/ops/scale.h"
#include "core/random.h"

namespace costate {

// x_T is drawn as this step's noise, which fresh_noise leaves free.
constexpr std::uint32_t start_step = 0;

Tensor draw_start(const Model& model, const Grid& grid, std::uint64_t seed, std::int64_t first, std::int64_t rows) {
  const Shape shape = model.sample_shape();
  require(shape.size() > 0,
          "{}: its files do not say how large samples are, {}; give x_T, or the size in the configuration", model.name,
          shape);
  const Tensor noise =
      normal_noise(seed, static_cast<std::uint64_t>(first), rows, start_step, shape, {DType::f64, model.device});
  // The first level's own scale: sqrt(alpha^2 var + sigma^2) is the prior's where alpha is small, sigma where alpha is 1.
  const double std = model.schedule->prior_std() == 1 ? 1 : grid.front().sigma;
  return model.prior_mean == 0 ? scale(noise, std) : add_scalar(scale(noise, std), model.prior_mean);
}

void check_start(const Model& model, const Tensor& x_T, const std::string& where) {
  const Shape want = model.sample_shape();
  require(x_T.rank() == want.rank() + 1 && x_T.dim(-1) == want[-1], "{}: has shape {}; the model wants (n, ...) of {}",
          where, x_T.shape(), want);
  require(x_T.size() > 0, "{}: has shape {} and holds nothing", where, x_T.shape());
}

}  // namespace costate
