// Time and labels as one vector.
#include "nn/unet_embedding.h"

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/rows.h"
#include "autodiff/ops/silu.h"

namespace costate {
namespace {

Tensor added(const Tensor& a, const Tensor& b) { return b.defined() ? a + b : a; }

}  // namespace

Tensor LabelEmbedding::operator()(const Tensor& classes) const {
  require(classes.rank() == 1 && classes.dtype() == DType::i32, "label embedding: labels are (n) i32, got {} {}",
          classes.shape(), name_of(classes.dtype()));
  for (const double label : classes.to_vector())
    require(label >= 0 && label < static_cast<double>(rows()),
            "label embedding: label {} is outside this network's {} classes, 0 to {}", label, rows(), rows() - 1);
  const Tensor row = add_bias(gather_rows(table, classes) * gain, bias);
  return linear ? (*linear)(silu(row)) : row;
}

Tensor LabelEmbedding::operator()(const Inputs& in) const {
  require(!(in.z.defined() && in.classes.defined()), "label embedding: takes labels or z, not both");
  require(in.z.defined() || in.classes.defined(),
          "label embedding: this network is conditional: it wants labels, or vectors (z) instead");
  const Tensor row = in.z.defined() ? in.z : (*this)(in.classes);
  require(row.shape() == Shape{in.x.dim(0), width()}, "label embedding: wants a condition {}, got {}",
          Shape{in.x.dim(0), width()}, row.shape());
  return row;
}

Tensor UNetEmbedding::label_rows(const Inputs& in) const {
  const bool given = in.z.defined() || in.classes.defined();
  require(label.has_value() || !given, "label embedding: this network takes no condition, but one was given");
  if (!label) return {};
  if (given || !label_optional) return (*label)(in);
  const Tensor& bias = label->bias;
  return bias.defined() ? add_bias(Tensor::zeros({in.x.dim(0), label->width()}, bias.kind()), bias) : Tensor();
}

Tensor UNetEmbedding::operator()(const std::vector<double>& t, const Inputs& in, Kind kind) const {
  const Tensor labels = label_rows(in);
  const auto at = in.extra.find("augment_labels");
  require(augment || at == in.extra.end(), "augment_labels: this network takes none");
  if (!linear_1) return {};
  Tensor e = projection(t, kind);
  if (label_first) e = added(e, labels);
  if (at != in.extra.end()) e = e + (*augment)(at->second);
  e = (*linear_2)(activate(between, (*linear_1)(e)));
  return activate(last, label_first ? e : added(e, labels));
}

}  // namespace costate
