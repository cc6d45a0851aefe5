// costate study order: the observed order of every sampler, schedule and prediction on an exact problem.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "autodiff/ops/scale.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/spec.h"
#include "solvers/convergence.h"
#include "tools/model/grid.h"
#include "tools/sampling.h"
#include "tools/table.h"

namespace costate {
namespace {

constexpr double slack = 0.15;  // one-sided: observed >= nominal - slack passes
constexpr double lambda_far = -5, lambda_curved = -1, lambda_end = 3;
constexpr int first_steps = 40;
constexpr std::int64_t rows = 3;    // trajectories of each run
constexpr Moments line{0.3, 0.25};  // what stochastic samplers are measured on: N(0.3, 0.25)

struct Options {
  Common common;
  std::string samplers, schedules, predictions;
  std::int64_t most_steps = 1280;
};

/// Three components with standard deviation 0.15 in the plane, where no MODEL is given.
constexpr const char* mixture = R"({"family": "gaussian_mixture", "weights": [0.5, 0.3, 0.2],
  "means": [[1, 0.3], [-0.7, 0.9], [0.2, -1.1]],
  "covariances": [[[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]]]})";
constexpr const char* normal = R"({"family": "gaussian", "mean": [0.3], "covariance": [[0.25]]})";

/// A sampler with options, as asked for: NAME or NAME:KEY=VALUE:KEY=VALUE.
struct Method {
  std::string label, name;
  Config options;
  Stepper stepper;
};

Method method_from(const std::string& label) {
  const Spec spec = parse_spec("sampler", label);
  return {label, spec.name, spec.options, make_stepper(spec.name, spec.options)};
}

/// Why a sampler is no part of the study; empty for those that are.
std::string why_left_out(const Stepper& plain, const std::vector<std::string>& options) {
  if (std::find(options.begin(), options.end(), "ms_eps") != options.end())
    return "its variances are exact on Gaussian data in any number of steps, or no affine map of the state "
           "(tests/solvers/test_analytic.cpp)";
  if (!plain.solves_sde)
    return "its steps draw from the density of a level, or of x_0, and solve no equation that more steps refine "
           "(tests/solvers/test_steppers.cpp, tests/tools/test_scheduler_classes.cpp)";
  return {};
}

/// Whether lambda has kinks in t: that of a discrete schedule has one at every index, unless its levels are evenly spaced.
bool has_kinks(const Schedule& schedule) {
  const int last = schedule.steps() - 1;
  if (last < 2) return false;
  const auto distance = [&](int i) { return schedule.lambda(i) - schedule.lambda(i + 1); };
  return std::abs(distance(last - 1) / distance(last / 2) - 1) > 1e-6;
}

/// The order to be expected on a schedule: a polynomial in t over a kink is wrong by O(h), which leaves order 2.
int order_on(const Method& m, const Schedule& schedule) {
  const bool in_t = stepper_type(m.name).name == "deis" && m.options.text("polynomial", "t") == "t";
  return in_t && has_kinks(schedule) ? std::min(m.stepper.order, 2) : m.stepper.order;
}

struct LeftOut {
  std::string sampler, measured, why;
};

/// Every sampler that has an order; those that start with lower orders also with a starter, those that take noise or leave it also the
/// other way. The others, with the reason, go to `left_out`.
std::vector<std::string> all_methods(std::vector<LeftOut>& left_out) {
  std::vector<std::string> labels;
  for (const auto& name : sampler_names()) {
    const Stepper plain = make_stepper(name);
    const auto& keys = stepper_type(name).options;
    const auto takes = [&](const char* key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); };
    if (const std::string why = why_left_out(plain, keys); !why.empty()) {
      left_out.push_back({name, "all", why});
      continue;
    }
    labels.push_back(name);
    const std::string started = name + ":starter=rk4";
    if (takes("starter") && method_from(started).stepper.order > plain.order) labels.push_back(started);
    if (takes("eta")) labels.push_back(name + (plain.eta == 0 ? ":eta=1" : ":eta=0"));
  }
  return labels;
}

/// What is measured: the path from pure noise or from where the flow is curved, or the moments and the path under noise.
enum class Measured { noise, curved, weak, strong };
constexpr const char* kind_names[] = {"noise", "curved", "weak", "strong"};

struct Case {
  const Method* method;
  std::string schedule, prediction;
  Measured kind;
  int nominal;
  Convergence found = {};
  std::string refused = {};                                                     ///< why it could not be measured
  [[nodiscard]] bool passed() const { return found.slope >= nominal - slack; }  // false for NaN: not measured
};

/// What order the two finest runs of a fit have between them, where that passes though the fit does not; else nothing.
std::string why_below(const Case& c) {
  std::vector<Measurement> used;
  for (const auto& run : c.found.runs)
    if (run.used && run.steps > 1) used.push_back(run);
  if (c.passed() || used.size() < 2) return c.refused;
  const Measurement &coarse = used[used.size() - 2], &fine = used.back();
  const double last = std::log(coarse.error / fine.error) / std::log(fine.steps / coarse.steps);
  if (last < c.nominal - slack) return "no reason known";
  return fmt::format("its order comes with more steps: from {:.0f} to {:.0f} it is {:.2f}", coarse.steps, fine.steps,
                     last);
}

/// The names asked for, or all; an unknown one is a wrong command line.
std::vector<std::string> chosen(const std::string& kind, const std::string& asked,
                                const std::vector<std::string>& all) {
  const auto names = word_list(asked);
  for (const auto& name : names)
    if (std::find(all.begin(), all.end(), name) == all.end()) as_usage([&] { fail_unknown(kind, name, all); });
  return names.empty() ? all : names;
}

ExactProblem problem_of(const Common& o) {
  if (o.model.empty()) return exact_problem(Config::parse(mixture, "study order"), o.place());
  const Model model = o.load_to_sample();
  require(model.is_exact(), "study order: {} is a network, whose solution is not known; give an exact problem (.json)",
          model.name);
  return model.exact;
}

class Study {
 public:
  explicit Study(const Options& o)
      : o_(o), problem_(problem_of(o.common)), line_(exact_problem(Config::parse(normal, "study order"))) {
    const auto asked = word_list(o.samplers);
    for (const auto& label : asked.empty() ? all_methods(left_out_) : asked)
      methods_.push_back(as_usage([&] { return method_from(label); }));
    std::vector<std::string> schedule_names;
    for (const auto& type : schedules()) schedule_names.push_back(type.name);
    const auto predictions =
        chosen("prediction", o.predictions, {"epsilon", "sample", "v_prediction", "noise", "score", "flow", "edm"});
    for (const auto& schedule : chosen("schedule", o.schedules, schedule_names))
      for (const auto& prediction : predictions)
        for (const auto& m : methods_)
          add(m, schedule, prediction, order_on(m, *made(schedule)), prediction == predictions.front());
    const Tensor y = normal_noise(o.common.seed, 0, rows, 0, {problem_.dimension}, {DType::f64, o.common.place()});
    const double far = std::exp(-lambda_far), curved = std::exp(-lambda_curved);
    const Flow to_curved = solve_flow(problem_, scale(y, far), far, curved);
    from_curved_ = solve_flow(problem_, to_curved.to, curved, std::exp(-lambda_end));
    from_noise_ = {far, from_curved_.s_to, to_curved.from, from_curved_.to};
  }

  void compute() {
    const Progress progress = o_.common.progress("orders");
    const auto all = static_cast<std::int64_t>(cases_.size());
    constexpr std::int64_t at_once = 24;  // cases run in parallel, one a thread
    for (std::int64_t first = 0; first < all; first += at_once) {
      const std::int64_t count = std::min(at_once, all - first);
      parallel_for(count, [&](std::int64_t i) { measure(cases_[static_cast<std::size_t>(first + i)]); });
      report(progress, first + count, all);
    }
  }

  [[nodiscard]] const std::vector<Case>& cases() const { return cases_; }
  [[nodiscard]] const std::vector<LeftOut>& left_out() const { return left_out_; }

 private:
  /// Strong orders are those of methods whose steps follow one Brownian path.
  /// Paths from pure noise and strong orders are measured for the first prediction of every schedule alone.
  void add(const Method& m, const std::string& schedule, const std::string& prediction, int order, bool all_kinds) {
    const Stepper& s = m.stepper;
    cases_.push_back({&m, schedule, prediction, s.eta > 0 ? Measured::weak : Measured::curved, order});
    if (all_kinds && s.eta == 0) cases_.push_back({&m, schedule, prediction, Measured::noise, order});
    if (!all_kinds || s.eta == 0) return;
    if (const auto why = no_path(m); why.empty())
      cases_.push_back({&m, schedule, prediction, Measured::strong, 1});
    else if (std::none_of(left_out_.begin(), left_out_.end(), [&](const LeftOut& l) { return l.sampler == m.label; }))
      left_out_.push_back({m.label, "strong", why});
  }

  static SchedulePtr made(const std::string& type) {
    return schedule_from(Config(nlohmann::json{{"type", type}}, "study order"));
  }

  /// Why a method's steps do not follow one Brownian path as strong_distance wants it; empty if they do.
  [[nodiscard]] std::string no_path(const Method& m) const {
    const SchedulePtr schedule = made("vp_linear");
    const Sampler sampler{.denoiser = {.net = line_.net, .dtype = DType::f64},
                          .grid = make_grid("lambda", *schedule, 4),
                          .stepper = m.stepper,
                          .schedule = schedule};
    try {
      if (follows_one_path(sampler, line_.p)) return {};
    } catch (const Error& e) {
      return e.what();
    }
    return "a step of it draws two increments, or none (tests/solvers/test_noise.cpp follows it along a path)";
  }

  void measure(Case& c) const {
    const Setting setting{.problem = c.kind < Measured::weak ? problem_ : line_,
                          .schedule = made(c.schedule),
                          .prediction = prediction_from(c.prediction)};
    const Stepper& stepper = c.method->stepper;
    const Flow& flow = c.kind == Measured::noise ? from_noise_ : from_curved_;
    const int last = static_cast<int>(o_.most_steps);
    try {
      if (c.kind == Measured::weak)
        c.found = converge_weakly(setting, line, from_noise_.s_from, from_noise_.s_to, stepper, first_steps, last);
      else if (c.kind == Measured::strong)
        c.found = converge_strongly(setting, line, from_noise_.s_from, from_noise_.s_to, stepper, first_steps, last);
      else if (stepper.evaluations == 0)
        c.found = converge_adaptive(setting, flow, c.method->name, c.method->options);
      else
        c.found = converge(setting, flow, stepper, first_steps, last);
    } catch (const Error& e) {
      c.found = {.runs = {}, .slope = NAN};
      c.refused = e.what();
    }
  }

  Options o_;
  ExactProblem problem_, line_;
  std::vector<Method> methods_;
  std::vector<Case> cases_;
  std::vector<LeftOut> left_out_;
  Flow from_noise_, from_curved_;
};

/// Panels of at most eight lines: methods of one order and kind, error against steps and against evaluations. One
/// schedule and prediction is drawn; the table has all.
std::vector<Panel> panels_of(const std::vector<Case>& cases) {
  std::map<std::pair<Measured, int>, std::vector<const Case*>> groups;
  for (const auto& c : cases)
    if (c.schedule == cases.front().schedule && c.prediction == cases.front().prediction && c.kind != Measured::noise)
      groups[{c.kind, c.nominal}].push_back(&c);
  constexpr std::size_t lines = 8;
  std::vector<Panel> panels;
  for (const auto& [group, members] : groups) {
    const auto [kind, order] = group;
    const std::string title = fmt::format(
        "{}order {}: {}, {}", kind < Measured::weak ? "" : std::string(kind_names[static_cast<int>(kind)]) + " ", order,
        cases.front().schedule, cases.front().prediction);
    const char* error = kind == Measured::weak     ? "error of mean and variance"
                        : kind == Measured::strong ? "distance of N and 2N steps"
                                                   : "largest error";
    for (std::size_t first = 0; first < members.size(); first += lines) {
      Panel steps{title, "steps", error}, evaluations{title, "evaluations", error};
      steps.triangles = evaluations.triangles = {{order}, {order + 1}};
      for (std::size_t i = first; i < std::min(first + lines, members.size()); ++i) {
        Series by_steps{members[i]->method->label, {}, {}}, by_evaluations = by_steps;
        for (const auto& run : members[i]->found.runs) {
          by_steps.x.push_back(run.steps), by_evaluations.x.push_back(run.evaluations);
          by_steps.y.push_back(run.error), by_evaluations.y.push_back(run.error);
        }
        if (members[i]->method->stepper.evaluations > 0) steps.series.push_back(by_steps);
        evaluations.series.push_back(by_evaluations);
      }
      if (!steps.series.empty()) panels.push_back(steps);
      panels.push_back(evaluations);
    }
  }
  return panels;
}

/// "40-1280": the runs that the slope was fitted to.
std::string fitted_range(const Convergence& c) {
  std::string first = "-", last = "-";
  for (const auto& run : c.runs) {
    if (!run.used) continue;
    last = fmt::format("{:.0f}", run.steps > 1 ? run.steps : run.evaluations);
    if (first == "-") first = last;
  }
  return first + ".." + last;
}

/// A line for each reason, with the samplers it is given for: of what is not in the study, of orders that are lower on some
/// schedules, of what is below its order.
std::vector<std::string> notes_of(const std::vector<LeftOut>& left_out, const std::vector<Case>& cases) {
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> groups;
  for (const auto& l : left_out) groups[{l.measured, l.why}].push_back(l.sampler);
  std::vector<std::string> notes;
  for (const auto& [group, samplers] : groups)
    notes.push_back(fmt::format("not in the study{}: {}, because {}",
                                group.first == "all" ? "" : ", " + group.first + " order", fmt::join(samplers, ", "),
                                group.second));
  std::set<std::string> lower;
  for (const auto& c : cases)
    if (c.nominal < c.method->stepper.order) lower.insert(fmt::format("{} on {}", c.method->label, c.schedule));
  if (!lower.empty())
    notes.push_back(
        fmt::format("order 2 expected of {}: their polynomials are in t, in which lambda has a kink at every index",
                    fmt::join(lower, ", ")));
  std::map<std::string, std::vector<std::string>> below;  // predictions by what is said of them
  for (const auto& c : cases)
    if (!c.passed())
      below[fmt::format("{}, {}, {}: {:.2f} of {}; {}", c.method->label, c.schedule,
                        kind_names[static_cast<int>(c.kind)], c.found.slope, c.nominal, why_below(c))]
          .push_back(c.prediction);
  for (const auto& [what, predictions] : below)
    notes.push_back(fmt::format("below its order: {} ({})", what, fmt::join(predictions, ", ")));
  return notes;
}

Findings findings_of(const Study& study, const std::string& model) {
  const auto& cases = study.cases();
  Findings f{.study = "order",
             .model = model,
             .summary = {{"sampler", "measured", "order", "lowest", "highest", "fitted over", "cases", "passed"}},
             .details = {{"sampler", "schedule", "prediction", "measured", "order", "observed", "passed", "steps",
                          "evaluations", "error", "fitted", "why_below"}},
             .panels = panels_of(cases),
             .notes = notes_of(study.left_out(), cases)};
  std::map<std::tuple<std::string, Measured, int>, std::vector<const Case*>> groups;
  std::size_t passed = 0, unmeasured = 0;
  for (const auto& c : cases) {
    groups[{c.method->label, c.kind, c.nominal}].push_back(&c);
    passed += c.passed() ? 1 : 0, unmeasured += std::isnan(c.found.slope) ? 1 : 0;
    const std::vector<std::string> head{c.method->label,
                                        c.schedule,
                                        c.prediction,
                                        kind_names[static_cast<int>(c.kind)],
                                        std::to_string(c.nominal),
                                        cell(c.found.slope),
                                        c.passed() ? "yes" : "no"};
    const std::string why = why_below(c);
    const auto row = [&](std::vector<std::string> rest) {
      rest.insert(rest.begin(), head.begin(), head.end());
      f.details.rows.push_back(rest);
    };
    for (const auto& run : c.found.runs)
      row({cell(run.steps), cell(run.evaluations, "{:.0f}"), cell(run.error, "{:.3e}"), run.used ? "yes" : "no", why});
    if (c.found.runs.empty()) row({"-", "-", "-", "no", why});
  }
  for (const auto& [group, members] : groups) {
    // NaN, not measured, counts as the lowest.
    const auto less = [](const Case* a, const Case* b) {
      return (std::isnan(a->found.slope) ? -1 : a->found.slope) < (std::isnan(b->found.slope) ? -1 : b->found.slope);
    };
    const auto [low, high] = std::minmax_element(members.begin(), members.end(), less);
    const auto good = std::count_if(members.begin(), members.end(), [](const Case* c) { return c->passed(); });
    const auto& [label, kind, order] = group;
    f.summary.rows.push_back({label, kind_names[static_cast<int>(kind)], std::to_string(order),
                              cell((*low)->found.slope, "{:.2f}"), cell((*high)->found.slope, "{:.2f}"),
                              fitted_range((*low)->found), std::to_string(members.size()), std::to_string(good)});
  }
  f.verdict = fmt::format("{} of {} measurements reach their order less {}; {} could not be made", passed, cases.size(),
                          slack, unmeasured);
  return f;
}

void run_order(const Options& o) {
  o.common.apply();
  for (const auto& file : o.common.outputs(".svg")) require_plotting(file);
  as_usage([&] { return step_count("--steps", o.most_steps); });
  if (o.most_steps < 4 * first_steps)
    throw UsageError(fmt::format("--steps {}: an order needs runs of {}, {} and {} steps at least", o.most_steps,
                                 first_steps, 2 * first_steps, 4 * first_steps));
  Study study(o);
  study.compute();
  deliver(o.common, findings_of(study, o.common.model.empty() ? "mixture" : o.common.model));
}

}  // namespace

Command order_study() {
  return {"order",
          "how fast every sampler converges on an exact problem: its order, measured on every schedule and prediction",
          "  costate study order --schedule vp_linear --prediction epsilon --out order.svg --out order.csv\n"
          "  costate study order --sampler heun,deis-2:starter=rk4,ddim:eta=1",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a, study_extensions, false);
            a.positional("MODEL", o->common.model, "exact problem .json [a mixture of three Gaussians in the plane]",
                         false);
            a.option("--sampler", o->samplers, "samplers, NAME or NAME:KEY=VALUE:KEY=VALUE [all]", "LIST");
            a.option("--schedule", o->schedules, "types, see `costate list schedules` [all]", "LIST");
            a.option("--prediction", o->predictions, "what the network predicts: epsilon, sample, flow ... [all]",
                     "LIST");
            a.option("--steps", o->most_steps, "most steps; runs have 40, 80, 160 ... [1280]");
            return [o] { run_order(*o); };
          }};
}

}  // namespace costate
