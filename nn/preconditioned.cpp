// Running a preconditioned U-Net.
#include "nn/preconditioned.h"

#include <nlohmann/json.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/slice.h"

namespace costate {

Tensor Preconditioned::operator()(Inputs in) const {
  if (part == "raw") return model(in);
  const std::vector<double> sigmas = per_row("times", in.t, in.x.dim(0));
  const std::vector<double> levels = u.defined() ? *numbers_of(u) : std::vector<double>();
  std::vector<double> skip, out, scale, noise;
  for (const double sigma : sigmas) {
    const auto c = precondition(sigma, levels);
    skip.push_back(c.skip), out.push_back(c.out), scale.push_back(c.in), noise.push_back(c.noise);
  }
  const Tensor x = in.x;
  const auto per_image = [&](const std::vector<double>& v) { return Tensor::from(v, {x.dim(0), 1, 1, 1}, x.kind()); };
  in.x = x * per_image(scale);
  in.t = noise;
  const Tensor f = model(in);  // iddpm's second half is the learned variance
  return x * per_image(skip) + slice(f, 3, 0, x.dim(3)) * per_image(out);
}

Signature Preconditioned::signature() const {
  Signature s = model.signature();
  if (part != "raw") s.out_channels = model.unet.plan.in_channels;
  const auto [least, most] = precondition.range(u.defined() && !u.is_ghost() ? *numbers_of(u) : std::vector<double>());
  s.defaults = nlohmann::json{{"prediction", "sample"},
                              {"schedule", {{"type", "edm"}, {"sigma_min", least}, {"sigma_max", most}}},
                              {"sampling", {{"grid", "karras"}}}}
                   .dump();
  return s;
}

}  // namespace costate
