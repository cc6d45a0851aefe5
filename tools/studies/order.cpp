// costate study order: the observed order of every sampler on an exact problem.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "autodiff/ops/scale.h"
#include "core/random.h"
#include "tools/order.h"
#include "tools/table.h"

namespace costate {
namespace {

constexpr double slack = 0.15;  // one-sided: observed >= nominal - slack passes
constexpr double lambda_far = -5, lambda_curved = -1, lambda_end = 3;
constexpr std::int64_t rows = 3;  // trajectories of each run

struct Options {
  Common common;
  std::string samplers, schedules, predictions;
  std::int64_t most_steps = 640;
};

/// Three components with standard deviation 0.15 in the plane, where no MODEL is given.
constexpr const char* mixture = R"({"family": "gaussian_mixture", "weights": [0.5, 0.3, 0.2],
  "means": [[1, 0.3], [-0.7, 0.9], [0.2, -1.1]],
  "covariances": [[[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]]]})";

struct Case {
  std::string sampler, schedule, prediction, start;
  Convergence found;
  int nominal = 0;
  [[nodiscard]] bool passed() const { return found.used < 2 || found.slope >= nominal - slack; }
};

/// The names asked for, or all; an unknown one is a wrong command line.
std::vector<std::string> chosen(const std::string& kind, const std::string& asked,
                                const std::vector<std::string>& all) {
  const auto names = word_list(asked);
  for (const auto& name : names)
    if (std::find(all.begin(), all.end(), name) == all.end()) as_usage([&] { fail_unknown(kind, name, all); });
  return names.empty() ? all : names;
}

std::vector<std::string> deterministic_samplers() {
  std::vector<std::string> names;
  for (const auto& name : sampler_names())
    if (make_stepper(name).eta == 0) names.push_back(name);
  return names;
}

ExactProblem problem_of(const Common& o) {
  if (o.model.empty()) return exact_problem(Config::parse(mixture, "study order"));
  const Model model = o.load_to_sample();
  require(model.is_exact(), "study order: {} is a network, whose solution is not known; give an exact problem (.json)",
          model.name);
  return model.exact;
}

std::vector<Case> measure(const Options& o, const ExactProblem& problem) {
  std::vector<std::string> schedule_names,
      prediction_names{"epsilon", "sample", "v_prediction", "noise", "score", "flow", "edm"};
  for (const auto& type : schedules()) schedule_names.push_back(type.name);
  const Tensor y = normal_noise(o.common.seed, 0, rows, 0, {problem.dimension});
  const double far = std::exp(-lambda_far), curved = std::exp(-lambda_curved), end = std::exp(-lambda_end);
  const Flow to_curved = solve_flow(problem, scale(y, far), far, curved);
  const Flow from_curved = solve_flow(problem, to_curved.to, curved, end);
  const std::map<std::string, Flow> flows = {{"noise", {far, end, to_curved.from, from_curved.to}},
                                             {"curved", from_curved}};
  std::vector<Case> cases;
  for (const auto& schedule : chosen("schedule", o.schedules, schedule_names))
    for (const auto& prediction : chosen("prediction", o.predictions, prediction_names))
      for (const auto& sampler : chosen("sampler", o.samplers, deterministic_samplers()))
        for (const auto& [start, flow] : flows) cases.push_back({sampler, schedule, prediction, start, {}, 0});
  const Progress progress = o.common.progress("orders");
  for (std::size_t i = 0; i < cases.size(); ++i) {
    Case& c = cases[i];
    const SchedulePtr schedule =
        schedule_from(Config::parse(fmt::format(R"({{"type": "{}"}})", c.schedule), "study order"));
    const Stepper stepper = make_stepper(c.sampler);
    c.nominal = stepper.order;
    c.found = converge(problem, flows.at(c.start), schedule, prediction_from(c.prediction), stepper, 40,
                       static_cast<int>(o.most_steps));
    report(progress, static_cast<std::int64_t>(i) + 1, static_cast<std::int64_t>(cases.size()));
  }
  return cases;
}

/// Panels of at most eight lines: samplers of one order, error against steps and against evaluations.
std::vector<Panel> panels_of(const std::vector<Case>& cases) {
  std::map<int, std::vector<const Case*>> by_order;
  const Case& shown = cases.front();  // one schedule, prediction and start is drawn; the table has all
  for (const auto& c : cases)
    if (c.schedule == shown.schedule && c.prediction == shown.prediction && c.start == shown.start)
      by_order[c.nominal].push_back(&c);
  std::vector<Panel> panels;
  for (const auto& [order, members] : by_order) {
    for (std::size_t first = 0; first < members.size(); first += 8) {
      const std::string title =
          fmt::format("order {}: {}, {}, from {}", order, shown.schedule, shown.prediction, shown.start);
      Panel steps{title, "steps", "largest error"}, evaluations{title, "evaluations", "largest error"};
      steps.triangles = evaluations.triangles = {{order}, {order + 1}};
      for (std::size_t i = first; i < std::min(first + 8, members.size()); ++i) {
        const Convergence& f = members[i]->found;
        steps.series.push_back({members[i]->sampler, f.steps, f.errors});
        evaluations.series.push_back({members[i]->sampler, f.evaluations, f.errors});
      }
      panels.push_back(steps), panels.push_back(evaluations);
    }
  }
  return panels;
}

Findings findings_of(const std::vector<Case>& cases, const std::string& model) {
  Findings f{.study = "order",
             .model = model,
             .summary = {{"sampler", "order", "lowest", "highest", "runs", "passed"}},
             .details = {{"sampler", "schedule", "prediction", "start", "order", "observed", "passed", "steps",
                          "evaluations", "error"}},
             .panels = panels_of(cases)};
  std::map<std::string, std::vector<const Case*>> by_sampler;
  std::size_t passed = 0;
  for (const auto& c : cases) {
    by_sampler[c.sampler].push_back(&c);
    passed += c.passed() ? 1 : 0;
    for (std::size_t i = 0; i < c.found.steps.size(); ++i)
      f.details.rows.push_back({c.sampler, c.schedule, c.prediction, c.start, std::to_string(c.nominal),
                                cell(c.found.slope), c.passed() ? "yes" : "no", cell(c.found.steps[i]),
                                cell(c.found.evaluations[i], "{:.0f}"), cell(c.found.errors[i], "{:.3e}")});
  }
  for (const auto& [sampler, members] : by_sampler) {
    const auto [low, high] = std::minmax_element(
        members.begin(), members.end(), [](const Case* a, const Case* b) { return a->found.slope < b->found.slope; });
    const auto good = std::count_if(members.begin(), members.end(), [](const Case* c) { return c->passed(); });
    f.summary.rows.push_back({sampler, std::to_string(members[0]->nominal), cell((*low)->found.slope),
                              cell((*high)->found.slope), std::to_string(members.size()), std::to_string(good)});
  }
  f.verdict = fmt::format("{} of {} runs reach their order less {}", passed, cases.size(), slack);
  return f;
}

void run_order(const Options& o) {
  o.common.apply(study_extensions);
  for (const auto& file : o.common.outputs(".svg")) require_plotting(file);
  if (o.most_steps < 80)
    throw UsageError(fmt::format("--steps {}: an order needs runs of 40 and 80 steps at least", o.most_steps));
  const std::vector<Case> cases = measure(o, problem_of(o.common));
  deliver(o.common, findings_of(cases, o.common.model.empty() ? "mixture" : o.common.model));
}

}  // namespace

Command order_study() {
  return {"order", "observed order of every sampler, schedule and prediction on an exact problem",
          "  costate study order --schedule vp_linear --prediction epsilon --out order.svg --out order.csv\n"
          "  costate study order problem.json --sampler ddim,heun --steps 2560",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a, false);
            a.positional("MODEL", o->common.model, "exact problem .json [a mixture of three Gaussians in the plane]",
                         false);
            a.option("--sampler", o->samplers, "samplers [all that draw no noise]", "LIST");
            a.option("--schedule", o->schedules, "schedule types [all]", "LIST");
            a.option("--prediction", o->predictions, "predictions [all]", "LIST");
            a.option("--steps", o->most_steps, "most steps; runs have 40, 80, 160 ... [640]");
            return [o] { run_order(*o); };
          }};
}

}  // namespace costate
