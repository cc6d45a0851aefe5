// Guiding a denoiser by a classifier's gradient.
#include "tools/model/classifier.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/softmax.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/kernel.h"
#include "solvers/halves.h"
#include "tools/model/inputs.h"

namespace costate {

Tensor one_hot(const Tensor& labels, std::int64_t classes, Kind kind) {
  std::vector<double> values(static_cast<std::size_t>(labels.dim(0) * classes), 0.0);
  for (std::int64_t i = 0; i < labels.dim(0); ++i) {
    const std::int64_t label = labels.data<std::int32_t>()[i];
    require(label >= 0 && label < classes, "class {}: the classifier knows classes 0 to {}", label, classes - 1);
    values[static_cast<std::size_t>(i * classes + label)] = 1;
  }
  return Tensor::from(values, {labels.dim(0), classes}, kind);
}

namespace {

/// Of what a network makes of one sample.
Shape shape_of_one(const Model& model) {
  const DryRun shapes_only;
  return (*model.network)(noise_inputs(model, 0, 1)).shape();
}

}  // namespace

Classifier::Classifier(Model judge, double strength, const Model& guided)
    : model(std::move(judge)), scale(strength), range(guided.range) {
  require(!model.is_exact(), "{}: an exact problem is no classifier", model.name);
  const Signature s = model.network->signature();
  const Shape x = guided.sample_shape();
  require(s.input.rank() == x.rank() && s.input[-1] == x[-1], "{}: takes {}, where {} has samples {}", model.name,
          s.input, guided.name, x);
  const Shape logits = shape_of_one(model);
  require(logits.rank() == 2, "{}: is no classifier: of a sample it makes {}, not a row of logits", model.name, logits);
  same = model.range == range && model.schedule->config().dump() == guided.schedule->config().dump();
  require(!s.takes_time || range.gain(model.range) > 0,
          "{}: its channels are scaled apart, where {} has the same noise in all of them", model.name, guided.name);
}

Tensor Classifier::log_p(const Tensor& x, const Level& own, const Tensor& chosen) const {
  Inputs in;
  in.x = model.unit_input ? x * (1 / std::hypot(own.alpha, own.sigma)) : x;
  in.t.assign(static_cast<std::size_t>(x.dim(0)), model.time_offset + model.time_scale * own.t);
  const Tensor logits = (*model.network)(in);
  require(logits.shape() == chosen.shape(), "classifier guidance: the classifier returned {}, not logits {}",
          logits.shape(), chosen.shape());
  return sum(logits * chosen) - sum(log_sum_exp(logits));
}

bool Classifier::judges(const Level& at) const {
  if (model.network->signature().takes_time && same) return true;
  if (at.alpha == 0 || at.sigma == 0) return false;  // of other levels there is none like these
  const double most = model.schedule->level(model.schedule->t_max).s() * (1 + 1e-9);  // its own last level is one
  return !model.network->signature().takes_time || at.s() * range.gain(model.range) <= most;
}

Tensor Classifier::log_p(const Denoiser& denoiser, const Tensor& y, const Level& at, const Tensors& p,
                         const Tensor& chosen) const {
  if (!model.network->signature().takes_time)
    return log_p(range.convert(denoiser.x0(y, at, p), model.range), Level{}, chosen);
  if (same) return log_p(y * at.scale(), at, chosen);
  // y = x_0 + s eps is in the classifier's range x_0 + gain s eps: its own level of that ratio, if not below the least.
  const Schedule& own = *model.schedule;
  const double t = own.t_of_lambda(-std::log(at.s() * range.gain(model.range)));
  const Level level = own.level(std::clamp(t, own.t_min, own.t_max));
  return log_p(range.convert(y, model.range) * level.alpha, level, chosen);
}

Net Classifier::guide(const Denoiser& denoiser, const Tensor& labels) const {
  const Tensor chosen = one_hot(labels, classes(), model.kind());
  return [=, self = *this](const Tensor& x, const Level& at, const Tensors& p) {
    const Tensor out = denoiser.net(x, at, p);
    if (!self.judges(at)) return out;
    const auto f = [&](const Tensors& y) { return self.log_p(denoiser, y[0], at, p, chosen); };
    const Tensor gradient = value_and_grad(f, {x * (1 / denoiser.input_scale(at))}).second[0];
    const double step = self.scale * at.sigma / at.scale();  // of eps: sigma grad_x = sigma / scale grad_y
    auto [prediction, variance] = halves(out, x);
    return joined({lincomb(1, prediction, -step / denoiser.eps_per_output(at), gradient), variance});
  };
}

}  // namespace costate
