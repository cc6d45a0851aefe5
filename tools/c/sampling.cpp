// The same decisions as the command's (tools/sampling.cpp), on arrays in place of files.
#include "tools/c/sampling.h"

#include <algorithm>

#include "autodiff/by_groups.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/sum.h"
#include "tools/model/encoding.h"
#include "tools/model/evaluation.h"
#include "tools/model/grid.h"
#include "tools/model/start.h"

namespace costate {

const Model& model_of(const costate_model* m) {
  require(m != nullptr, "costate: the model is NULL");
  return m->model;
}

AskedSampling::AskedSampling(const costate_model* m, const costate_sampling* asked, bool encodes)
    : model_(denoising_part(model_of(m))), space_(latent_space(model_)) {
  const costate_sampling defaults = COSTATE_SAMPLING_DEFAULTS;
  const costate_sampling& o = asked == nullptr ? defaults : *asked;
  NamedTensors given = tensors_of(o.inputs, o.input_count);
  course_ = make_course(model_, {.sampler = text_or(o.sampler, ""),
                                 .grid = text_or(o.grid, ""),
                                 .steps = step_count("sample: steps", o.steps),
                                 .options = Config::parse(text_or(o.options, "{}"), "options of the sampler"),
                                 .correct = text_or(o.correct, ""),
                                 .noise = text_or(o.noise, "fresh"),
                                 .encodes = encodes});
  seed_ = o.seed;
  x_T_ = take(given, encodes ? "x" : "x_T");
  require(x_T_.defined() || !encodes, "costate_encode: wants x (n, ...) among the inputs");
  require(x_T_.defined() || o.count >= 1, "sample: count {}; give at least one sample", o.count);
  if (!x_T_.defined()) x_T_ = draw_start(model_, course_.grid, seed_, 0, o.count);
  if (encodes)
    x_T_ = as_samples(model_, space_, x_T_);
  else
    check_start(model_, x_T_, "x_T");
  if (o.classifier != nullptr) classifier_.emplace(o.classifier->model, o.classifier_scale, model_);
  read_inputs(std::move(given), o);
}

void AskedSampling::read_inputs(NamedTensors given, const costate_sampling& asked) {
  std::vector<std::string> known = {"x_T", "class", "z", "z_null", "guidance", "noise", "memory", "w"};
  const Signature s = model_.is_exact() ? Signature() : model_.network->signature();
  const Tensor classes = take(given, "class");
  const auto check_rows = [n = x_T_.dim(0)](const char* name, const Tensor& t, int axis) {
    require(!t.defined() || (t.rank() > axis && t.dim(axis) == n), "sample: {} has shape {} for {} samples", name,
            t.defined() ? t.shape() : Shape(), n);
  };
  check_rows("class", classes, 0);
  require(!classifier_ || (classes.defined() && classes.rank() == 1 && classes.dim(0) == x_T_.dim(0)),
          "sample: a classifier guides towards class ({}); give it among the inputs", x_T_.dim(0));
  if (classifier_) labels_ = classes;
  const bool takes_labels = !model_.is_exact() && (s.classes > 0 || s.any_label);
  if (takes_labels || !classifier_) condition_.classes = classes;
  condition_.z = take(given, "z");
  condition_.z_scheduled = condition_.z.defined() && !model_.is_exact() && condition_.z.rank() == s.z.rank() + 2;
  check_rows("z", condition_.z, condition_.z_scheduled ? 1 : 0);
  condition_.z_null = take(given, "z_null");
  condition_.guidance = asked.guidance;
  condition_.guidance_rescale = asked.guidance_rescale;
  if (const Tensor t = take(given, "guidance"); t.defined()) condition_.guidance_steps = t.to_vector();
  noise_ = take(given, "noise");
  require(!noise_.defined() || (noise_.rank() >= 2 && noise_.dim(1) == x_T_.dim(0)),
          "sample: noise has shape {}, not (k, {}, ...)", noise_.defined() ? noise_.shape() : Shape(), x_T_.dim(0));
  require(!noise_.defined() || asked.noise == nullptr, "sample: noise is recorded among the inputs; leave {} out",
          text_or(asked.noise, ""));
  memory_ = take(given, "memory");
  require(!memory_.defined() || course_.stepper.invert != nullptr,
          "sample: memory is of reversible samplers; {} is none", course_.stepper.name);
  require(!memory_.defined() || memory_.shape() == x_T_.shape().with_front(memory_.dim(0)),
          "sample: memory has shape {}, not (m, ...) of {}", memory_.defined() ? memory_.shape() : Shape(),
          x_T_.shape());
  w_ = take(given, "w");
  for (const auto& each : s.extra) {
    for (const std::string& name : {each.name, each.name + "_null"}) known.push_back(name);
    if (const Tensor t = take(given, each.name); t.defined()) {
      check_rows(each.name.c_str(), t, 0);
      condition_.extra[each.name] = t;
    }
    if (const Tensor t = take(given, each.name + "_null"); t.defined()) condition_.extra_null[each.name] = t;
  }
  if (!given.empty()) fail_unknown("input of sampling", given.begin()->first, known);
}

Conditioned AskedSampling::conditioned(std::int64_t first, std::int64_t rows) const {
  return make_conditioned(model_, rows_of(condition_, first, rows), rows, course_.grid);
}

Sampler AskedSampling::sampler(const Conditioned& c, std::int64_t first, std::int64_t rows) const {
  const Noise noise = noise_.defined() ? recorded_noise(slice(noise_, 1, first, rows))
                                       : course_.noise(seed_, static_cast<std::uint64_t>(first));
  Sampler sampler = course_.sampler(model_, c, noise);
  if (classifier_) sampler.denoiser.net = classifier_->guide(c.denoiser, labels_.rows(first, rows));
  return sampler;
}

Tensors AskedSampling::over_rows(const std::vector<int>& axes,
                                 const std::function<Tensors(std::int64_t first, std::int64_t rows)>& f) const {
  const std::int64_t n = x_T_.dim(0);
  return by_groups(n, course_.stepper.batching == Batching::one_by_one ? 1 : n, axes, f);
}

void AskedSampling::sample(costate_result& result) const {
  require(!w_.defined(), "costate_sample: w is for costate_grad");
  const Tensor x_0 = over_rows({0}, [&](std::int64_t first, std::int64_t rows) {
    const Conditioned c = conditioned(first, rows);
    const Sampler s = sampler(c, first, rows);
    const Tensor x_T = slice(x_T_, 0, first, rows);
    Tensors memory;
    for (std::int64_t k = 0; memory_.defined() && k < memory_.dim(0); ++k)
      memory.push_back(slice(memory_.rows(k, 1).reshaped(x_T_.shape()), 0, first, rows));
    return Tensors{memory.empty() ? costate::sample(s, x_T, c.p) : decode(s, {s.start(x_T).y, memory}, c.p)};
  })[0];
  result.add("x", space_ ? space_->decode(x_0) : x_0);
  if (space_) result.add("latents", x_0);
  result.add("x_T", x_T_);
}

void AskedSampling::encode(const std::string& states, costate_result& result) const {
  require(!w_.defined() && !memory_.defined(), "costate_encode: {} is for {}", w_.defined() ? "w" : "memory",
          w_.defined() ? "costate_grad" : "costate_sample");
  const Way way = way_from(states);
  const Tensors found = over_rows({0, 1, 1, 0, 0}, [&](std::int64_t first, std::int64_t rows) {
    const Tensor x_0 = slice(x_T_, 0, first, rows);
    Condition condition = rows_of(condition_, first, rows);
    if (!condition.z.defined()) condition.z = z_found_in(model_, x_0);
    const Conditioned c = make_conditioned(model_, condition, rows, course_.grid);
    const Encoding e = encoding_of(course_, sampler(c, first, rows), x_0, c.p, way);
    return Tensors{e.x_T, e.noise, e.memory, condition.z_scheduled ? Tensor() : condition.z, e.back};
  });
  result.add("x_0", x_T_);
  const char* names[] = {"x_T", "noise", "memory", "z", "round_trip"};
  for (std::size_t i = 0; i < found.size(); ++i) result.add(names[i], found[i]);
}

/// <w, x_0>, or half the squared norm; of a latent pipeline of the pixels, unless w has the channels of latents.
Loss AskedSampling::loss() const {
  const Loss own = [w = w_](const Tensor& x) {
    require(!w.defined() || w.shape() == x.shape(), "costate_grad: w has shape {}; what it weighs has {}",
            w.defined() ? w.shape() : Shape(), x.shape());
    return w.defined() ? inner(x, w) : scale(inner(x, x), 0.5);
  };
  if (!space_ || (w_.defined() && w_.dim(-1) == space_->gain.dim(0))) return own;
  return [own, space = *space_](const Tensor& x_0) { return own(space.decode(x_0)); };
}

void AskedSampling::differentiate(const std::string& adjoint, const std::vector<std::string>& wrt,
                                  costate_result& result) const {
  require(!memory_.defined(), "costate_grad: memory is for costate_sample");
  for (const auto& word : wrt)
    if (word != "x_T" && word != "z" && word != "theta") fail_unknown("gradient in", word, {"x_T", "z", "theta"});
  const auto asked = [&](const char* name) {
    return wrt.empty() || std::find(wrt.begin(), wrt.end(), name) != wrt.end();
  };
  const Conditioned c = conditioned(0, x_T_.dim(0));
  const auto group = [this](std::int64_t first, std::int64_t rows) {
    return sampler(conditioned(first, rows), first, rows);
  };
  const bool coupled = course_.stepper.batching == Batching::all_at_once;
  const Gradient g = make_adjoint(adjoint).gradient(
      {.sampler = sampler(c, 0, x_T_.dim(0)),
       .x_T = x_T_,
       .p = c.p,
       .wrt_x_T = asked("x_T"),
       .wrt_p = c.wanted(asked("z") || asked("theta"), asked("theta")),
       .loss = loss(),
       .groups =
           coupled
               ? Groups()
               : Groups{.rows = course_.rows_of_gradient(c, x_T_, asked("theta")), .sampler = group, .axes = c.axes}});
  result.add("x_0", g.x_0);
  if (space_) result.add("pixels", space_->decode(g.x_0));
  result.add("loss", Tensor::from({g.loss}, {}));
  result.add("g_x_T", g.x_T);
  for (std::size_t i = 0; asked("z") && i < c.first_theta; ++i) result.add("g_" + c.names[i], g.p[i]);
  if (!asked("theta")) return;
  for (const auto& [key, value] : theta_by_key(model_, total_theta_gradient(model_, condition_, c, g.p)))
    result.add("g_theta/" + key, value);
}

}  // namespace costate
