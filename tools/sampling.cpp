// From options to a sampler.
#include "tools/sampling.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "autodiff/ops/cast.h"
#include "autodiff/ops/slice.h"
#include "core/spec.h"
#include "tools/model/grid.h"
#include "tools/model/inputs.h"
#include "tools/model/start.h"

namespace costate {
namespace {

Tensor optional_dataset(const Hdf5Reader& file, const std::string& name) {
  return file.contains(name) ? file.read(name) : Tensor();
}

/// Is it a file of levels, and not a name, or what levels are chosen by?
bool has_levels(const std::string& grid) { return is_grid_file(grid) && !Hdf5Reader(grid).contains("ms_eps"); }

/// --eta, --order and --set as one configuration.
nlohmann::json stepper_options(const SamplingOptions& o) {
  nlohmann::json all = key_values("--set", o.set);
  const auto add = [&](const char* key, const auto& value) {
    if (!value) return;
    if (all.contains(key))
      throw UsageError(fmt::format("--{0} and --set {0}: one option twice; give one of them", key));
    all[key] = *value;
  };
  add("eta", o.eta);
  add("order", o.order);
  return all;
}

}  // namespace

nlohmann::json key_values(const std::string& option, const std::vector<std::string>& pairs) {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& pair : pairs) {
    const auto before = all.size();
    if (!set_key_value(all, pair)) throw UsageError(option + " " + pair + ": wants KEY=VALUE");
    if (all.size() == before) throw UsageError(option + " " + pair + ": is given a value before; give it one");
  }
  return all;
}

void SamplingOptions::declare(Arguments& a, std::int64_t count_else, std::int64_t steps_else) {
  default_count = count_else;
  default_steps = steps_else;
  if (!encodes)
    a.option("-n,--count", count, fmt::format("number of samples [as --start has, else {}]", default_count));
  a.option("--sampler", sampler,
           "see `costate list samplers` [the model's scheduler's, or ddim]; one that chooses its steps does so for "
           "each sample by itself, and nfe is of the sample that took most",
           "NAME");
  a.option("--steps", steps,
           fmt::format("steps between noise and data [as the file of --grid has, else {}]", default_steps));
  a.option("--grid", grid,
           "which levels of noise the steps lead to: see `costate list grids`, or an .h5 file of levels, or of ms_eps "
           "to choose them by [the model's own]",
           "NAME|FILE");
  a.option("--eta", eta,
           "share of fresh noise, for samplers that have this option; 0 draws none [the sampler's: 0 of ddim]", "E");
  a.option(
      "--noise", noise,
      "of samplers that draw some: fresh, or tree: from one Brownian path a sample, the same for any --steps [fresh]",
      "NAME");
  a.option("--order", order, "for samplers that come in several orders: deis with 2 is deis-2", "K");
  a.option("--set", set, "further options of the sampler, see `costate list samplers NAME`; may be repeated",
           "KEY=VALUE");
  a.option(
      "--class", classes,
      unconditional
          ? "labels a,b,c: sample i takes the (i mod length)-th [none if the network has a row for that, which "
            "--guidance 0 asks for too: samples are free to become whatever lowers the loss; else all classes in turn]"
          : "labels a,b,c: sample i takes the (i mod length)-th [all classes in turn]",
      "LIST");
  a.option("--guidance", guidance,
           "w of eps_null + w (eps_class - eps_null), classifier-free guidance; 1 is conditional only [1]", "W");
  a.option("--guidance-rescale", guidance_rescale,
           "how far what is guided is scaled back to the standard deviation of the conditional prediction, 0 ... 1 [0]",
           "PHI");
  a.option("--correct", correct,
           "what every predicted x_0 goes through: clip:range=1, threshold:ratio=0.995:most=1e300, none [the "
           "scheduler's, or none]",
           "NAME");
  a.option("--classifier", classifier, "guides towards --class by the gradient of this classifier", "MODEL");
  a.option("--classifier-scale", classifier_scale, "strength of the classifier [1]", "S");
  const std::string more = "class, z (n,...) or scheduled (steps,n,...), z_null, guidance (k), further inputs";
  if (encodes)
    a.option("--in", start, "what to encode: a picture, or x (n,...) and if there " + more, "FILE.png|FILE.h5");
  else
    a.option("--start", start,
             "where to start: x_T (n,...), else drawn for -n samples, and if there noise (k,n,...), " + more,
             "FILE.h5");
}

constexpr std::int64_t most_samples = 10'000'000;

Run::Run(const SamplingOptions& options, const Common& common, const Model& model)
    : options_(options), model_(model), seed_(common.seed) {
  count_ = options.count.value_or(options.default_count);
  if (count_ < 1) throw UsageError(fmt::format("-n {}: give at least one sample", count_));
  if (count_ > most_samples) throw UsageError(fmt::format("-n {}: at most {}", count_, most_samples));
  if (!(options.guidance_rescale >= 0 && options.guidance_rescale <= 1))
    throw UsageError(fmt::format("--guidance-rescale {}: should be between 0 and 1", options.guidance_rescale));
  const bool levels_given = has_levels(options.grid);  // a file that is not there is no wrong usage
  course_ = as_usage([&] {
    return make_course(model, {.sampler = options.sampler,
                               .grid = options.grid,
                               .steps = step_count("--steps", options.steps_or_default()),
                               .options = Config(stepper_options(options), "options of the sampler"),
                               .correct = options.correct,
                               .noise = options.noise,
                               .encodes = options.encodes});
  });
  if (const auto levels = static_cast<std::int64_t>(course_.grid.size());
      options.steps.value_or(levels - 1) != levels - 1 && levels_given)
    throw UsageError(fmt::format("--steps {}: {} holds the levels of {} steps; leave --steps out, or give as many",
                                 *options.steps, options.grid, levels - 1));
  if (options.classifier_scale && options.classifier.empty())
    throw UsageError("--classifier-scale: there is no classifier; name one with --classifier");
  if (!options.classifier.empty())
    classifier_.emplace(load_model(options.classifier, {.dtype = model.dtype, .device = model.device}),
                        options.classifier_scale.value_or(1), model);
  if (options.start.empty()) return;
  read_start();
  const bool rows_of_z = start_z_.defined() && !model.is_exact() && model.network->signature().z.rank() == 1;
  if (rows_of_z && !options.classes.empty() && !classifier_)
    throw UsageError(fmt::format("--class {}: {} holds z, which is taken in its place; leave --class out",
                                 options.classes, options.start));
}

// Everything of the file but what a command asks for by its name; without x_T it brings conditions, and x_T is drawn.
void Run::read_start() {
  const Hdf5Reader start(options_.start);
  read_condition(start);
  const std::string first = options_.encodes ? "x" : "x_T";
  const bool conditions = start_class_.defined() || start_z_.defined() || !start_extra_.empty();
  require(start.contains(first) || (conditions && !options_.encodes), "{}: holds no {} (n, ...){}", options_.start,
          first, options_.encodes ? "" : ", and no condition either");
  start_memory_ = optional_dataset(start, "memory");
  require(!start_memory_.defined() || options_.takes_memory,
          "{}: holds the memory of a reversible sampler, which costate sample alone goes on from", options_.start);
  start_noise_ = optional_dataset(start, "noise");
  if (start_noise_.defined() && options_.noise == "tree")
    throw UsageError("--noise tree: " + options_.start + " brings recorded noise, which is taken in its place");
  check_recorded(start);
  if (!start.contains(first)) {
    require(!start_memory_.defined(), "{}: holds the memory of a reversible sampler, but no x_T", options_.start);
    if (start_class_.defined()) return count_rows("class", start_class_.dim(0));
    if (start_z_.defined()) return count_rows("z", start_z_.dim(z_is_scheduled() ? 1 : 0));
    return count_rows(start_extra_.begin()->first, start_extra_.begin()->second.dim(0));
  }
  start_x_T_ = cast(start.read(first), DType::f64);
  const Shape want = model_.sample_shape();  // of an encoding it may be the pixels of a latent model
  require(start_x_T_.rank() == want.rank() + 1 && (options_.encodes || start_x_T_.dim(-1) == want[-1]),
          "{}: {} has shape {}; the model wants (n, ...) of {}", options_.start, first, start_x_T_.shape(), want);
  require(start_x_T_.size() > 0, "{}: {} has shape {} and holds nothing", options_.start, first, start_x_T_.shape());
  count_rows(first, start_x_T_.dim(0));
}

void Run::count_rows(const std::string& name, std::int64_t rows) {
  if (options_.count.value_or(rows) != rows)
    throw UsageError(fmt::format("-n {}: {} holds {} samples of {}; leave -n out, or give as many", *options_.count,
                                 options_.start, rows, name));
  count_ = rows;
}

void Run::check_recorded(const Hdf5Reader& start) const {
  if (!start_memory_.defined() && !start_noise_.defined()) return;
  const std::string what = start_memory_.defined() ? "memory" : "noise", mine = course_.stepper.name,
                    by = start.text("", "sampler").value_or(mine);
  const bool has_levels = start.contains("grid_t") && start.contains("grid_alpha") && start.contains("grid_sigma");
  const Grid& here = course_.grid;
  const Grid there = has_levels ? read_grid(options_.start, model_, 1) : here;
  const bool same_levels =
      std::equal(there.begin(), there.end(), here.begin(), here.end(),
                 [](const Level& a, const Level& b) { return a.t == b.t && a.alpha == b.alpha && a.sigma == b.sigma; });
  if (by == mine && same_levels) return;
  std::string give = by == mine ? "" : " --sampler " + by;
  if (there.size() != here.size())
    give += fmt::format(" --steps {}", there.size() - 1);
  else if (!same_levels)
    give += " --grid " + options_.start;
  fail("{}: holds the {} of {} in {} steps; this is {} in {}{}: give{}", options_.start, what, by, there.size() - 1,
       mine, here.size() - 1, there.size() == here.size() && !same_levels ? ", with other levels" : "", give);
}

bool Run::z_is_scheduled() const {  // (steps, n, ...)
  return start_z_.defined() && !model_.is_exact() && start_z_.rank() == model_.network->signature().z.rank() + 2;
}

void Run::read_condition(const Hdf5Reader& start) {
  start_class_ = as_labels(optional_dataset(start, "class"), options_.start);
  start_z_ = optional_dataset(start, "z");
  start_z_null_ = optional_dataset(start, "z_null");
  if (!model_.is_exact())
    for (const auto& each : model_.network->signature().extra)
      for (const std::string& name : {each.name, each.name + "_null"})
        if (start.contains(name)) start_extra_[name] = start.read(name);
  start_guidance_ = optional_dataset(start, "guidance");
}

Tensor Run::rows_of(const std::string& name, const Tensor& t, std::int64_t first, std::int64_t rows) const {
  require(t.rank() > 0 && t.dim(0) == count_, "{}: {} has shape {} for {} samples", options_.start, name, t.shape(),
          count_);
  return t.rows(first, rows);
}

Tensor Run::from_start(const std::string& name) const {
  const Tensor found = options_.start.empty() ? Tensor() : optional_dataset(Hdf5Reader(options_.start), name);
  return found.defined() ? found.to(model_.device) : found;
}

Shape Run::sample_shape() const {
  if (!start_x_T_.defined()) return model_.sample_shape();
  const Shape& all = start_x_T_.shape();
  return {all.begin() + 1, all.end()};
}

Tensor Run::x_T(std::int64_t first, std::int64_t rows) const {
  return start_x_T_.defined() ? rows_of("x_T", start_x_T_, first, rows).to(model_.device)
                              : draw_start(model_, course_.grid, seed_, first, rows);
}

Tensors Run::memory(std::int64_t first, std::int64_t rows) const {
  if (!start_memory_.defined()) return {};
  require(course_.stepper.invert != nullptr, "{}: holds the memory of a reversible sampler; {} is none", options_.start,
          course_.stepper.name);
  Tensors all;
  for (std::int64_t k = 0; k < start_memory_.dim(0); ++k) {
    const Tensor one = start_memory_.rows(k, 1);
    all.push_back(cast(rows_of("memory", one.reshaped(Shape(one.shape().begin() + 1, one.shape().end())), first, rows),
                       DType::f64)
                      .to(model_.device));
  }
  return all;
}

Condition Run::condition(std::int64_t first, std::int64_t rows) const {
  Condition c;
  if (options_.guidance) c.guidance = *options_.guidance;
  c.guidance_rescale = options_.guidance_rescale;
  if (model_.is_exact()) {
    if (!options_.classes.empty() && !classifier_) c.classes = labels(0, first, rows);  // which is refused
    return c;
  }
  const Signature s = model_.network->signature();
  if (z_is_scheduled()) {
    require(start_z_.dim(0) == static_cast<std::int64_t>(course_.grid.size()) - 1 && start_z_.dim(1) == count_,
            "{}: z has shape {}; a scheduled condition wants ({}, {}, ...)", options_.start, start_z_.shape(),
            course_.grid.size() - 1, count_);
    c.z = slice(start_z_, 1, first, rows);
    c.z_scheduled = true;
  } else if (start_z_.defined()) {
    c.z = rows_of("z", start_z_, first, rows);
  }
  const auto null_rows = [&](const std::string& name, const Tensor& t) {
    return t.rank() > 0 && t.dim(0) == 1 ? t : rows_of(name, t, first, rows);
  };
  if (start_z_null_.defined()) c.z_null = null_rows("z_null", start_z_null_);
  if (start_guidance_.defined() && !options_.guidance) c.guidance_steps = start_guidance_.to_vector();
  const bool said = options_.guidance || start_guidance_.defined() || !options_.classes.empty() ||
                    start_class_.defined() || start_z_.defined();
  if (options_.unconditional && !said && s.classes > 1 && s.null_class) c.guidance = 0;
  if (c.guidance_rescale > 0 && c.guidance == 1 && c.guidance_steps.empty())
    throw UsageError(fmt::format("--guidance-rescale {}: there is no guidance to rescale; give --guidance other than 1",
                                 c.guidance_rescale));
  for (const auto& each : s.extra) {
    if (const auto at = start_extra_.find(each.name); at != start_extra_.end())
      c.extra[each.name] = rows_of(at->first, at->second, first, rows);
    if (const auto at = start_extra_.find(each.name + "_null"); at != start_extra_.end())
      c.extra_null[each.name] = null_rows(at->first, at->second);
    require(!each.required || c.extra.count(each.name) != 0, "{}: also takes {} (n, ...) of {}; give it in --start",
            model_.name, each.name, each.shape);
  }
  if (c.z.defined() && s.z.rank() == 1) return c;  // a row in place of a label
  // A network without labels leaves them to the classifier.
  const std::int64_t known = s.classes > 1 && s.null_class ? s.classes - 1 : s.classes;
  if (known > 0 || s.any_label || !classifier_) c.classes = labels(known, first, rows);
  return c;
}

Tensor Run::labels(std::int64_t classes, std::int64_t first, std::int64_t rows) const {
  if (!options_.classes.empty()) return repeat_labels(integer_list("--class", options_.classes), first, rows);
  if (start_class_.defined()) return rows_of("class", start_class_, first, rows);
  std::vector<std::int64_t> all(static_cast<std::size_t>(classes));
  std::iota(all.begin(), all.end(), 0);
  return all.empty() ? Tensor() : repeat_labels(all, first, rows);
}

Sampler Run::sampler(const Conditioned& c, std::int64_t first, std::int64_t rows) const {
  const auto sample = static_cast<std::uint64_t>(first);
  Noise noise = course_.noise(seed_, sample);
  if (start_noise_.defined()) {
    require(start_noise_.rank() >= 2 && start_noise_.dim(1) == count_, "{}: noise has shape {}, not (steps, {}, ...)",
            options_.start, start_noise_.shape(), count_);
    noise = recorded_noise(cast(slice(start_noise_, 1, first, rows), DType::f64).to(model_.device));
  }
  Sampler sampler = course_.sampler(model_, c, noise);
  if (classifier_) sampler.denoiser.net = classifier_->guide(c.denoiser, labels(classifier_->classes(), first, rows));
  return sampler;
}

GradientProblem Run::problem(const Condition& condition, const Conditioned& all, bool weights) const {
  GradientProblem problem{.sampler = sampler(all, 0, count_), .x_T = x_T(0, count_), .p = all.p};
  if (course_.stepper.batching == Batching::all_at_once) return problem;
  problem.groups = {.rows = course_.rows_of_gradient(all, problem.x_T, weights),
                    .sampler =
                        [this, condition](std::int64_t first, std::int64_t rows) {
                          return sampler(
                              make_conditioned(model_, costate::rows_of(condition, first, rows), rows, course_.grid),
                              first, rows);
                        },
                    .axes = all.axes};
  return problem;
}

}  // namespace costate
