// Running a U-Net with its embedding.
#include "nn/unet_model.h"

#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "nn/preconditioning.h"

namespace costate {

Tensor UNetModel::operator()(const Inputs& in) const {
  const std::vector<double> t = per_row("times", in.t, in.x.dim(0));
  const Tensor x = centre ? in.x * 2 - 1 : scaled ? unit_scale(in.x, t) : in.x;
  const Tensor h = unet(x, embedding(t, in, in.x.kind()));
  if (divide == Divide::nothing) return h;
  // Times between the entries are rounded down, as there; those that rounding brought just below one are it.
  const auto levels = divide == Divide::table ? numbers_of(sigmas) : nullptr;
  std::vector<double> inverse;
  for (const double value : t) {
    const double level = divide == Divide::table ? std::floor(value + 1e-6) : value;
    if (divide == Divide::table)
      require(level >= 0 && level < static_cast<double>(levels->size()),
              "scale_by_sigma: time {} is not one of this network's {} noise levels", value, levels->size());
    inverse.push_back(1 / (divide == Divide::table ? (*levels)[static_cast<std::size_t>(level)] : value));
  }
  return h * Tensor::from(inverse, {h.dim(0), 1, 1, 1}, h.kind());
}

Tensor UNetModel::embed_classes(const Tensor& classes) const {
  require(embedding.label.has_value(), "unet: labels were given to a network without a label table");
  return (*embedding.label)(classes);
}

Signature UNetModel::signature() const {
  Signature s;
  s.input = {size, size, unet.plan.in_channels};
  s.out_channels = unet.plan.out_channels;
  if (embedding.label) {
    s.classes = embedding.label->rows();
    s.null_class = embedding.label->null_class;
    s.z = {embedding.label->width()};
    s.needs_condition = !embedding.label_optional;
  }
  if (embedding.augment)
    s.extra = {{.name = "augment_labels", .shape = {embedding.augment->weight.dim(0)}, .required = false}};
  s.summary = unet.summary();
  s.defaults = defaults;
  return s;
}

UNetModel make_unet_model(UNetEmbedding embedding, UNetPlan plan, std::int64_t size, std::string defaults) {
  UNetModel m;
  m.embedding = std::move(embedding);
  m.unet = UNet(std::move(plan));
  m.size = size;
  m.defaults = std::move(defaults);
  return m;
}

}  // namespace costate
