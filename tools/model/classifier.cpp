// Guiding a denoiser by a classifier's gradient.
#include "tools/model/classifier.h"

#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/softmax.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "solvers/halves.h"

namespace costate {
namespace {

/// d out / d eps at fixed x = alpha x_0 + sigma eps: how much a prediction moves with eps.
double slope(const Denoiser& d, const Level& at) {
  const double s = at.s(), norm = std::hypot(at.alpha, at.sigma);
  switch (d.prediction) {
    case Prediction::epsilon:
      return 1;
    case Prediction::sample:
      return -s;
    case Prediction::v:
      return norm / at.alpha;
    case Prediction::noise:
      return at.sigma;
    case Prediction::score:
      return -1 / at.sigma;
    case Prediction::flow:
      return 1 + s;
    case Prediction::edm:
      return -std::hypot(s, d.sigma_data) / d.sigma_data;
    case Prediction::edm_v:
      return std::hypot(s, d.sigma_data) / d.sigma_data;
  }
  fail("classifier guidance: unknown prediction {}", static_cast<int>(d.prediction));
}

/// (n, classes) with a 1 at each row's label.
Tensor one_hot(const Tensor& labels, std::int64_t classes, Kind kind) {
  std::vector<double> values(static_cast<std::size_t>(labels.dim(0) * classes), 0.0);
  for (std::int64_t i = 0; i < labels.dim(0); ++i) {
    const std::int64_t label = labels.data<std::int32_t>()[i];
    require(label >= 0 && label < classes, "class {}: the classifier knows classes 0 to {}", label, classes - 1);
    values[static_cast<std::size_t>(i * classes + label)] = 1;
  }
  return Tensor::from(values, {labels.dim(0), classes}, kind);
}

}  // namespace

Classifier::Classifier(const std::string& file, double strength, const Model& guided)
    : model(load_model(file, {.dtype = guided.dtype, .device = guided.device})),
      scale(strength),
      unit_input(guided.unit_input) {
  require(!model.is_exact(), "{}: an exact problem is no classifier", file);
  const Signature s = model.network->signature();
  const Shape x = guided.sample_shape();
  require(s.input.rank() == x.rank() && s.input[-1] == x[-1], "{}: takes {}, where {} has samples {}", file, s.input,
          guided.name, x);
}

Net Classifier::guide(const Denoiser& denoiser, const Tensor& labels) const {
  const Tensor chosen = one_hot(labels, classes(), model.kind());
  return [=, network = model.network, time_scale = model.time_scale, strength = scale, unit = unit_input](
             const Tensor& x, const Level& at, const Tensors& p) {
    Inputs in;
    in.t.assign(static_cast<std::size_t>(x.dim(0)), time_scale * at.t);
    const auto log_p = [&](const Tensors& point) {
      Inputs now = in;
      now.x = unit ? point[0] * (1 / std::hypot(at.alpha, at.sigma)) : point[0];
      const Tensor logits = (*network)(now);
      require(logits.shape() == chosen.shape(), "classifier guidance: the classifier returned {}, not logits {}",
              logits.shape(), chosen.shape());
      return sum(logits * chosen) - sum(log_sum_exp(logits));
    };
    const Tensor gradient = value_and_grad(log_p, {x}).second[0];
    auto [prediction, variance] = halves(denoiser.net(x, at, p), x);
    return joined({lincomb(1, prediction, -slope(denoiser, at) * strength * at.sigma, gradient), variance});
  };
}

}  // namespace costate
