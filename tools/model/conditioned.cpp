// A model and a condition as solvers see them.
#include "tools/model/conditioned.h"

#include <algorithm>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/split.h"
#include "autodiff/ops/sqrt.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "solvers/halves.h"
#include "tools/model/inputs.h"
#include "tools/model/pipeline.h"

namespace costate {
namespace {

/// What a network is told besides x and the level: labels, and tensors by name.
struct Told {
  Tensor classes;
  std::vector<std::string> names;
  Tensors values;

  void add(const std::string& name, const Tensor& value) {
    names.push_back(name);
    values.push_back(value);
  }
  /// Where `name` stands, or -1.
  [[nodiscard]] std::ptrdiff_t find(const std::string& name) const {
    const auto at = std::find(names.begin(), names.end(), name);
    return at == names.end() ? -1 : at - names.begin();
  }
};

/// How x and t reach the network, see Model.
struct Telling {
  double time_scale, time_offset;
  bool unit_input;
};

/// What the network gets for x (n, ...) at a level.
Inputs inputs_of(const Telling& telling, const Tensor& x, const Level& at, const Told& told) {
  const auto n = static_cast<std::size_t>(x.dim(0));
  const double norm = telling.unit_input ? std::hypot(at.alpha, at.sigma) : 1;
  Inputs in;
  in.x = norm == 1 ? x : scale(x, 1 / norm);
  in.t.assign(n, telling.time_offset + telling.time_scale * at.t);
  in.alpha.assign(n, at.alpha / norm);
  in.sigma.assign(n, at.sigma / norm);
  in.classes = told.classes;
  for (std::size_t i = 0; i < told.names.size(); ++i) input(in, told.names[i]) = told.values[i];
  return in;
}

/// One evaluation of the network on x (n, ...).
Tensor evaluate(const Network& network, const Telling& telling, const Tensor& x, const Level& at, const Told& told) {
  return network(inputs_of(telling, x, at, told));
}

/// The weight of guidance at each level: one number, or one a level of the grid.
std::function<double(const Level&)> weight_of(const Condition& c, const Grid& grid) {
  if (c.guidance_steps.empty()) return [w = c.guidance](const Level&) { return w; };
  require(c.guidance_steps.size() + 1 == grid.size(), "guidance: {} weights for a grid of {} steps",
          c.guidance_steps.size(), grid.empty() ? 0 : grid.size() - 1);
  return [grid, weights = c.guidance_steps](const Level& at) {
    const auto it =
        std::find_if(grid.begin(), grid.end(), [&](const Level& l) { return l.t == at.t && l.sigma == at.sigma; });
    require(it != grid.end() && it + 1 != grid.end(),
            "guidance: a weight a step was given, but this sampler evaluates t = {} between the levels", at.t);
    return weights[static_cast<std::size_t>(it - grid.begin())];
  };
}

/// What stands in place of the condition in the other half of guidance; what has no such thing stays.
Told without_condition(const Told& told, const Told& null, std::int64_t n) {
  const auto rows = [n](const Tensor& t) { return broadcast_to(t, t.shape().with(0, n)); };
  Told all = told;
  if (told.classes.defined()) all.classes = rows(null.classes);
  for (std::size_t i = 0; i < told.names.size(); ++i) {
    const auto at = null.find(told.names[i]);
    if (at >= 0) all.values[i] = rows(null.values[static_cast<std::size_t>(at)]);
  }
  return all;
}

/// The condition and, below it, what replaces it: as one batch, since rows are independent and their bits are those of two calls.
Told both_halves(const Told& told, const Told& without) {
  Told both;
  if (told.classes.defined()) both.classes = concat({told.classes, without.classes}, 0);
  for (std::size_t i = 0; i < told.names.size(); ++i)
    both.add(told.names[i], concat({told.values[i], without.values[i]}, 0));
  return both;
}

/// Standard deviation of every sample: (n, 1, ...).
Tensor deviation(const Tensor& x) {
  Shape one = x.shape();
  for (int axis = 1; axis < one.rank(); ++axis) one = one.with(axis, 1);
  const double count = static_cast<double>(x.size()) / static_cast<double>(x.dim(0));
  const Tensor off = x - sum_to(x, one) / count;
  return sqrt(sum_to(off * off, one) / count);
}

/// How both predictions become one at a level.
struct Guidance {
  std::function<double(const Level&)> weight;
  double share;  ///< of what is rescaled

  [[nodiscard]] Tensor operator()(const Tensor& conditional, const Tensor& unconditional, double w) const {
    const Tensor guided = lincomb(w, conditional, 1 - w, unconditional);
    if (share == 0) return guided;
    return lincomb(1 - share, guided, share, guided * (deviation(conditional) / deviation(guided)));
  }
};

/// p = {told, null, weights ...}
Net network_net(const Model& model, const Telling& how, const Told& told, const Told& null, const Guidance& guidance) {
  return [base = model.network, how, told, null, guidance](const Tensor& x, const Level& at, const Tensors& p) {
    Told with = told, without = null;
    require(p.size() >= with.values.size() + without.values.size(),
            "network: {} parameters; it takes the p that came with it (Conditioned)", p.size());
    const auto middle = p.begin() + static_cast<std::ptrdiff_t>(with.values.size()),
               rest = middle + static_cast<std::ptrdiff_t>(without.values.size());
    with.values.assign(p.begin(), middle);
    without.values.assign(middle, rest);
    const auto network = base->with(Tensors(rest, p.end()));
    if (without.names.empty() && !without.classes.defined()) return evaluate(*network, how, x, at, with);
    const std::int64_t n = x.dim(0);
    const double w = guidance.weight(at);  // 0 and 1 ask for one half only
    if (w == 1) return evaluate(*network, how, x, at, with);
    const Told absent_told = without_condition(with, without, n);
    if (w == 0 && guidance.share == 0) return evaluate(*network, how, x, at, absent_told);
    const Tensor y = evaluate(*network, how, concat({x, x}, 0), at, both_halves(with, absent_told));
    const Tensors both = split(y, 0, {n, n});
    const Halves given = halves(both[0], x), absent = halves(both[1], x);
    return joined({guidance(given.prediction, absent.prediction, w), given.variance});
  };
}

/// Is z the embedding of a label, which may be given in its place?
bool labels_become_z(const Signature& s) { return s.z.rank() == 1 && (s.classes > 0 || s.any_label); }

void check_condition(const Model& model, const Condition& c, std::int64_t rows) {
  const Signature s = model.network->signature();
  if (c.classes.defined()) {
    require(s.classes > 0 || s.any_label, "{}: takes no class; leave the class out", model.name);
    require(c.classes.shape() == Shape{rows}, "class: {} labels for {} samples", c.classes.size(), rows);
    for (std::int64_t i = 0; s.classes > 0 && i < rows; ++i) {  // labels that are embedded like a time have no bound
      const auto label = c.classes.data<std::int32_t>()[i];
      require(label >= 0 && label < s.classes, "class {}: {} has classes 0 to {}", label, model.name, s.classes - 1);
    }
  }
  if (c.z.defined()) {
    require(s.z.rank() > 0, "{}: takes no condition z", model.name);
    require(c.z.rank() == s.z.rank() + (c.z_scheduled ? 2 : 1) && c.z.dim(c.z_scheduled ? 1 : 0) == rows,
            "z: shape {} for {} samples of condition {}", c.z.shape(), rows, s.z);
  }
  const bool has_z = c.z.defined() || (c.classes.defined() && labels_become_z(s));
  require(has_z || s.z.rank() == 0 || !s.needs_condition,
          "{}: is conditional; give it {}z (n, ...) of {} among the inputs", model.name,
          labels_become_z(s) ? "a class, or " : "", s.z);
  for (const auto& each : s.extra)
    require(each.name != "timestep_cond" || c.extra.count(each.name) != 0 || !pipeline_of(model),
            "{}: its pipeline tells the network the guidance weight w it was distilled with: give timestep_cond (n, "
            "...) of {}, sinusoids of 1000 (w - 1), among the inputs",
            model.name, each.shape);
  require(c.classes.defined() || has_z || (s.classes == 0 && !s.any_label) || !s.needs_condition, "{}: wants a class",
          model.name);
}

}  // namespace

Wanted Conditioned::wanted(bool z, bool theta) const {
  Wanted w(p.size());
  for (std::size_t i = 0; i < p.size(); ++i) w[i] = differentiable[i] && (i < first_theta ? z : theta);
  return w;
}

Condition rows_of(const Condition& c, std::int64_t first, std::int64_t rows) {
  Condition some = c;
  const auto cut = [&](Tensor& t, int axis) {
    if (t.defined()) t = slice(t, axis, first, rows);
  };
  const auto cut_null = [&](Tensor& t) {
    if (t.defined() && t.dim(0) > 1) cut(t, 0);
  };
  cut(some.classes, 0);
  cut(some.z, c.z_scheduled ? 1 : 0);
  cut_null(some.z_null);
  for (auto& [name, value] : some.extra) cut(value, 0);
  for (auto& [name, value] : some.extra_null) cut_null(value);
  return some;
}

Tensor repeat_labels(const std::vector<std::int64_t>& list, std::int64_t first, std::int64_t count) {
  require(!list.empty(), "class: the list is empty");
  std::vector<double> labels;
  for (std::int64_t i = first; i < first + count; ++i)
    labels.push_back(static_cast<double>(list[static_cast<std::size_t>(i) % list.size()]));
  return Tensor::from(labels, {count}, DType::i32);
}

namespace {

/// What the network is told with the condition: from labels, rows of the network's own table where z stands for them.
Told told_of(const Network& network, const Condition& c, const Model& model) {
  Told told;
  const bool rows = labels_become_z(network.signature());
  if (c.z.defined())
    told.add("z", as_taken(c.z, model));
  else if (c.classes.defined() && rows)
    told.add("z", network.embed_classes(c.classes));
  if (!rows) told.classes = c.classes;
  for (const auto& [name, value] : c.extra) told.add(name, as_taken(value, model));
  return told;
}

/// And without it.
Told null_of(const Network& network, const Condition& c, const Model& model) {
  const Signature s = network.signature();
  Told null;
  const bool has_row = s.classes > 0 && s.null_class;
  const Tensor no_class = has_row ? Tensor::full({1}, static_cast<double>(s.classes - 1), DType::i32) : Tensor();
  if (c.z_null.defined())
    null.add("z", as_taken(c.z_null, model));
  else if (labels_become_z(s) && has_row)
    null.add("z", network.embed_classes(no_class));
  else
    require(s.z.rank() == 0, "guidance: the network has no row for \"no class\" in a label table; give z_null");
  if (!labels_become_z(s) && c.classes.defined()) null.classes = has_row ? no_class : c.classes;
  for (const auto& [name, value] : c.extra_null) null.add(name, as_taken(value, model));
  return null;
}

/// Masks and numbers that become sinusoids have no gradient.
bool is_differentiable(const Signature& s, const std::string& name) {
  for (const auto& each : s.extra)
    if (each.name == name || each.name + "_null" == name) return each.differentiable;
  return true;
}

bool is_guided(const Condition& c) { return !c.guidance_steps.empty() || c.guidance != 1; }

}  // namespace

Conditioned make_conditioned(const Model& model, const Condition& c, std::int64_t rows, const Grid& grid) {
  Conditioned out;
  out.denoiser.prediction = model.prediction;
  out.denoiser.dtype = model.dtype;
  out.denoiser.sigma_data = model.sigma_data;
  if (model.is_exact()) {
    require(!c.classes.defined() && !c.z.defined() && !is_guided(c) && c.guidance_rescale == 0,
            "{}: an exact problem takes no class, z or guidance", model.name);
    out.denoiser.net = model.exact.predicting(model.prediction, out.denoiser.sigma_data);
    out.p = model.exact.p;
    out.names = model.exact.p_names;
    out.first_theta = !out.names.empty() && out.names[0] == "z" ? 1 : 0;
    out.differentiable.assign(out.p.size(), true);
    out.axes.assign(out.p.size(), -1);
    return out;
  }
  check_condition(model, c, rows);
  const bool guided = is_guided(c);
  require(!guided || c.classes.defined() || c.z.defined(),
          "guidance: {} takes no condition, so there is nothing to guide by", model.name);
  require(c.guidance_rescale >= 0 && c.guidance_rescale <= 1, "guidance rescale: {} should be between 0 and 1",
          c.guidance_rescale);
  require(guided || c.guidance_rescale == 0,
          "guidance rescale: there is no guidance to rescale; give a weight other than 1");
  const Told told = told_of(*model.network, c, model);
  const Told null = guided ? null_of(*model.network, c, model) : Told();
  out.p = told.values;
  out.names = told.names;
  out.p.insert(out.p.end(), null.values.begin(), null.values.end());
  for (const auto& name : null.names) out.names.push_back(name + "_null");
  if (c.z_scheduled) {
    require(!out.names.empty() && out.names[0] == "z",
            "z: a condition scheduled over the steps wants a network with z");
    out.p_of_step = [](int index, const Tensors& p) {
      Tensors own = p;
      const Tensor row = slice(p[0], 0, index, 1);
      own[0] = reshape(row, Shape(row.shape().begin() + 1, row.shape().end()));
      return own;
    };
  }
  out.first_theta = out.p.size();
  for (const auto& name : out.names) out.differentiable.push_back(is_differentiable(model.network->signature(), name));
  out.axes.assign(out.first_theta, 0);
  if (c.z_scheduled) out.axes[0] = 1;
  for (std::size_t i = 0; i < null.values.size(); ++i)
    if (null.values[i].dim(0) == 1) out.axes[told.values.size() + i] = -1;
  const auto parameters = model.network->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    out.p.push_back(parameters[i].value);
    out.names.push_back(model.keys[i]);
    out.differentiable.push_back(!parameters[i].buffer);
  }
  out.axes.resize(out.p.size(), -1);
  const Telling how{model.time_scale, model.time_offset, model.unit_input};
  out.denoiser.net = network_net(model, how, told, null, {weight_of(c, grid), c.guidance_rescale});
  out.rows_at_once = [network = model.network, how, first = told,
                      given = out.p_of_step ? out.p_of_step(0, out.p) : out.p](const Tensor& x, const Level& at) {
    Told own = first;
    std::copy_n(given.begin(), own.values.size(), own.values.begin());
    return network->rows_at_once(inputs_of(how, x, at, own));
  };
  return out;
}

Tensors total_theta_gradient(const Model& model, const Condition& condition, const Conditioned& c,
                             const Tensors& gradient_p) {
  const auto at = static_cast<std::ptrdiff_t>(c.first_theta);
  Tensors theta(gradient_p.begin() + at, gradient_p.end());
  const bool linked = !model.is_exact() && condition.classes.defined() && labels_become_z(model.network->signature());
  if (!linked || c.first_theta == 0) return theta;
  const Tensors values(c.p.begin() + at, c.p.end());
  const Wanted wanted(c.differentiable.begin() + at, c.differentiable.end());
  const auto rows = [&](const Tensors& weights) {
    const auto network = model.network->with(weights);
    Tensors all = told_of(*network, condition, model).values;
    if (!is_guided(condition)) return all;
    const Tensors null = null_of(*network, condition, model).values;
    all.insert(all.end(), null.begin(), null.end());
    return all;
  };
  const Tensors g(gradient_p.begin(), gradient_p.begin() + at);
  const Tensors through = vjp(rows, values, wanted).pull_once(g);
  for (std::size_t i = 0; i < theta.size(); ++i) {
    if (theta[i].defined() && through[i].defined()) theta[i] = add(theta[i], through[i]);
  }
  return theta;
}

}  // namespace costate
