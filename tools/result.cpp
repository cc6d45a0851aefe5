// What subcommands write.
#include "tools/result.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/cast.h"

namespace costate {

Hdf5Writer result_file(const std::string& file, const Common& common) {
  Hdf5Writer out(file);
  out.attribute("", "command", command_line());
  out.attribute("", "version", version());
  out.attribute("", "seed", common.seed);
  out.attribute("", "model", common.model);
  return out;
}

void write_grid(Hdf5Writer& out, const Grid& grid) {
  std::vector<double> t, alpha, sigma, s_hat;
  for (const Level& l : grid)
    t.push_back(l.t), alpha.push_back(l.alpha), sigma.push_back(l.sigma), s_hat.push_back(l.s());
  const Shape levels{static_cast<std::int64_t>(t.size())};
  out.write("grid_t", Tensor::from(t, levels));
  out.write("grid_alpha", Tensor::from(alpha, levels));
  out.write("grid_sigma", Tensor::from(sigma, levels));
  out.write("grid_sigma_hat", Tensor::from(s_hat, levels));
}

Tensor to_picture(const Tensor& x, const ValueRange& range) { return range.convert(cast(x, DType::f64), unit_range()); }

Tensor to_signed_colours(const Tensor& g) {
  const auto v = g.to_vector();
  const auto n = static_cast<std::size_t>(g.dim(0)), c = static_cast<std::size_t>(g.dim(3)), pixels = v.size() / n / c;
  std::vector<double> rgb;
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> grey(pixels);
    for (std::size_t k = 0; k < pixels * c; ++k) grey[k / c] += v[i * pixels * c + k];
    double top = 0;
    for (const double e : grey) top = std::max(top, std::abs(e));
    for (const double e : grey) {
      const double s = top > 0 ? e / top : 0, fade = 1 - std::abs(s);
      rgb.insert(rgb.end(), {s > 0 ? 1 - 0.3 * s : fade, fade, s < 0 ? 1 + 0.3 * s : fade});
    }
  }
  return Tensor::from(rgb, {g.dim(0), g.dim(1), g.dim(2), 3});
}

Tensor to_rgb(const Tensor& picture) {
  if (picture.dim(3) == 3) return picture;
  std::vector<double> rgb;
  for (const double e : picture.to_vector()) rgb.insert(rgb.end(), 3, e);
  return Tensor::from(rgb, picture.shape().with(3, 3));
}

void require_images(const Model& model, const std::string& file) {
  const Shape s = model.sample_shape();
  require(s.rank() == 3 && (s[2] == 1 || s[2] == 3),
          "{}: a picture needs samples (h, w, 1 or 3), {} has {}; write .h5 instead", file, model.name, s);
}

}  // namespace costate
