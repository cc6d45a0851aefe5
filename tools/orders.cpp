// Which samplers have an order, on which exact problem it is measured, and the runs.
#include "tools/orders.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "autodiff/ops/scale.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/spec.h"
#include "tools/model/grid.h"
#include "tools/sampling.h"

namespace costate {
namespace {

constexpr double lambda_far = -5, lambda_curved = -1, lambda_end = 3;
constexpr std::int64_t rows = 3;    // trajectories of each run
constexpr Moments line{0.3, 0.25};  // what stochastic samplers are measured on: N(0.3, 0.25)

/// Three components with standard deviation 0.15 in the plane, where no MODEL is given.
constexpr const char* mixture = R"({"family": "gaussian_mixture", "weights": [0.5, 0.3, 0.2],
  "means": [[1, 0.3], [-0.7, 0.9], [0.2, -1.1]],
  "covariances": [[[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]]]})";
constexpr const char* normal = R"({"family": "gaussian", "mean": [0.3], "covariance": [[0.25]]})";

OrderMethod method_from(const std::string& label) {
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
int order_on(const OrderMethod& m, const Schedule& schedule) {
  const bool in_t = stepper_type(m.name).name == "deis" && m.options.text("polynomial", "t") == "t";
  return in_t && has_kinks(schedule) ? std::min(m.stepper.order, 2) : m.stepper.order;
}

/// Every sampler that has an order; those that start with lower orders also with a starter, those that take noise or leave it also the
/// other way. The others, with the reason, go to `left_out`.
std::vector<std::string> all_methods(std::vector<NoOrder>& left_out) {
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

/// The names asked for, or all; an unknown one is a wrong command line.
std::vector<std::string> chosen(const std::string& kind, const std::string& asked,
                                const std::vector<std::string>& all) {
  const auto names = words_of("--" + kind, asked);
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
  explicit Study(const OrderOptions& o)
      : o_(o), problem_(problem_of(o.common)), line_(exact_problem(Config::parse(normal, "study order"))) {
    const auto asked = words_of("--sampler", o.samplers);
    std::vector<std::shared_ptr<const OrderMethod>> methods;
    for (const auto& label : asked.empty() ? all_methods(found_.left_out) : asked)
      methods.push_back(std::make_shared<const OrderMethod>(as_usage([&] { return method_from(label); })));
    std::vector<std::string> schedule_names;
    for (const auto& type : schedules()) schedule_names.push_back(type.name);
    const auto predictions =
        chosen("prediction", o.predictions, {"epsilon", "sample", "v_prediction", "noise", "score", "flow", "edm"});
    for (const auto& schedule : chosen("schedule", o.schedules, schedule_names))
      for (const auto& prediction : predictions)
        for (const auto& m : methods)
          add(m, schedule, prediction, order_on(*m, *made(schedule)), prediction == predictions.front());
    const Tensor y = normal_noise(o.common.seed, 0, rows, 0, {problem_.dimension}, {DType::f64, o.common.place()});
    const double far = std::exp(-lambda_far), curved = std::exp(-lambda_curved);
    const Flow to_curved = solve_flow(problem_, scale(y, far), far, curved);
    from_curved_ = solve_flow(problem_, to_curved.to, curved, std::exp(-lambda_end));
    from_noise_ = {far, from_curved_.s_to, to_curved.from, from_curved_.to};
  }

  Orders measured() && {
    const Progress progress = o_.common.progress("orders");
    const auto all = static_cast<std::int64_t>(found_.cases.size());
    constexpr std::int64_t at_once = 24;  // cases run in parallel, one a thread
    for (std::int64_t first = 0; first < all; first += at_once) {
      const std::int64_t count = std::min(at_once, all - first);
      parallel_for(count, [&](std::int64_t i) { measure(found_.cases[static_cast<std::size_t>(first + i)]); });
      report(progress, first + count, all);
    }
    return std::move(found_);
  }

 private:
  /// Strong orders are those of methods whose steps follow one Brownian path.
  /// Paths from pure noise and strong orders are measured for the first prediction of every schedule alone.
  void add(const std::shared_ptr<const OrderMethod>& m, const std::string& schedule, const std::string& prediction,
           int order, bool all_kinds) {
    const Stepper& s = m->stepper;
    auto& cases = found_.cases;
    cases.push_back({m, schedule, prediction, s.eta > 0 ? OrderKind::weak : OrderKind::curved, order});
    if (all_kinds && s.eta == 0) cases.push_back({m, schedule, prediction, OrderKind::noise, order});
    if (!all_kinds || s.eta == 0) return;
    if (const auto why = no_path(*m); why.empty())
      cases.push_back({m, schedule, prediction, OrderKind::strong, 1});
    else if (std::none_of(found_.left_out.begin(), found_.left_out.end(),
                          [&](const NoOrder& l) { return l.sampler == m->label; }))
      found_.left_out.push_back({m->label, "strong", why});
  }

  static SchedulePtr made(const std::string& type) {
    return schedule_from(Config(nlohmann::json{{"type", type}}, "study order"));
  }

  /// Why a method's steps do not follow one Brownian path as strong_distance wants it; empty if they do.
  [[nodiscard]] std::string no_path(const OrderMethod& m) const {
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

  void measure(OrderCase& c) const {
    const Setting setting{.problem = c.kind < OrderKind::weak ? problem_ : line_,
                          .schedule = made(c.schedule),
                          .prediction = prediction_from(c.prediction)};
    const Stepper& stepper = c.method->stepper;
    const Flow& flow = c.kind == OrderKind::noise ? from_noise_ : from_curved_;
    const int last = static_cast<int>(o_.most_steps);
    try {
      if (c.kind == OrderKind::weak)
        c.found =
            converge_weakly(setting, line, from_noise_.s_from, from_noise_.s_to, stepper, first_order_steps, last);
      else if (c.kind == OrderKind::strong)
        c.found =
            converge_strongly(setting, line, from_noise_.s_from, from_noise_.s_to, stepper, first_order_steps, last);
      else if (stepper.evaluations == 0)
        c.found = converge_adaptive(setting, flow, c.method->name, c.method->options);
      else
        c.found = converge(setting, flow, stepper, first_order_steps, last);
    } catch (const Error& e) {
      c.found = {.runs = {}, .slope = NAN};
      c.refused = e.what();
    }
  }

  OrderOptions o_;
  ExactProblem problem_, line_;
  Orders found_;
  Flow from_noise_, from_curved_;
};

}  // namespace

std::string name_of(OrderKind kind) {
  constexpr const char* names[] = {"noise", "curved", "weak", "strong"};
  return names[static_cast<int>(kind)];
}

Orders measure_orders(const OrderOptions& o) { return Study(o).measured(); }

}  // namespace costate
