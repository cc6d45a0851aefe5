// costate study order: the observed order of every sampler, schedule and prediction on an exact problem.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "tools/model/grid.h"
#include "tools/orders.h"
#include "tools/sampling.h"
#include "tools/table.h"

namespace costate {
namespace {

/// What order the two finest runs of a fit have between them, where that passes though the fit does not; else nothing.
std::string why_below(const OrderCase& c) {
  std::vector<Measurement> used;
  for (const auto& run : c.found.runs)
    if (run.used && run.steps > 1) used.push_back(run);
  if (c.passed() || used.size() < 2) return c.refused;
  const Measurement &coarse = used[used.size() - 2], &fine = used.back();
  const double last = std::log(coarse.error / fine.error) / std::log(fine.steps / coarse.steps);
  if (last < c.nominal - order_slack) return "no reason known";
  return fmt::format("its order comes with more steps: from {:.0f} to {:.0f} it is {:.2f}", coarse.steps, fine.steps,
                     last);
}

/// Panels of at most eight lines: methods of one order and kind, error against steps and against evaluations. One
/// schedule and prediction is drawn; the table has all.
std::vector<Panel> panels_of(const std::vector<OrderCase>& cases) {
  std::map<std::pair<OrderKind, int>, std::vector<const OrderCase*>> groups;
  for (const auto& c : cases)
    if (c.schedule == cases.front().schedule && c.prediction == cases.front().prediction && c.kind != OrderKind::noise)
      groups[{c.kind, c.nominal}].push_back(&c);
  constexpr std::size_t lines = 8;
  std::vector<Panel> panels;
  for (const auto& [group, members] : groups) {
    const auto [kind, order] = group;
    const std::string title =
        fmt::format("{}order {}: {}, {}", kind < OrderKind::weak ? "" : std::string(name_of(kind)) + " ", order,
                    cases.front().schedule, cases.front().prediction);
    const char* error = kind == OrderKind::weak     ? "error of mean and variance"
                        : kind == OrderKind::strong ? "distance of N and 2N steps"
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
std::vector<std::string> notes_of(const std::vector<NoOrder>& left_out, const std::vector<OrderCase>& cases) {
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
      below[fmt::format("{}, {}, {}: {:.2f} of {}; {}", c.method->label, c.schedule, name_of(c.kind), c.found.slope,
                        c.nominal, why_below(c))]
          .push_back(c.prediction);
  for (const auto& [what, predictions] : below)
    notes.push_back(fmt::format("below its order: {} ({})", what, fmt::join(predictions, ", ")));
  return notes;
}

Findings findings_of(const Orders& orders, const std::string& model) {
  const auto& cases = orders.cases;
  Findings f{.study = "order",
             .model = model,
             .summary = {{"sampler", "measured", "order", "lowest", "highest", "fitted over", "cases", "passed"}},
             .details = {{"sampler", "schedule", "prediction", "measured", "order", "observed", "passed", "steps",
                          "evaluations", "error", "fitted", "why_below"}},
             .panels = panels_of(cases),
             .notes = notes_of(orders.left_out, cases)};
  std::map<std::tuple<std::string, OrderKind, int>, std::vector<const OrderCase*>> groups;
  std::size_t passed = 0, unmeasured = 0;
  for (const auto& c : cases) {
    groups[{c.method->label, c.kind, c.nominal}].push_back(&c);
    passed += c.passed() ? 1 : 0, unmeasured += std::isnan(c.found.slope) ? 1 : 0;
    const std::vector<std::string> head{c.method->label,
                                        c.schedule,
                                        c.prediction,
                                        name_of(c.kind),
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
    const auto less = [](const OrderCase* a, const OrderCase* b) {
      return (std::isnan(a->found.slope) ? -1 : a->found.slope) < (std::isnan(b->found.slope) ? -1 : b->found.slope);
    };
    const auto [low, high] = std::minmax_element(members.begin(), members.end(), less);
    const auto good = std::count_if(members.begin(), members.end(), [](const OrderCase* c) { return c->passed(); });
    const auto& [label, kind, order] = group;
    f.summary.rows.push_back({label, name_of(kind), std::to_string(order), cell((*low)->found.slope, "{:.2f}"),
                              cell((*high)->found.slope, "{:.2f}"), fitted_range((*low)->found),
                              std::to_string(members.size()), std::to_string(good)});
  }
  f.verdict = fmt::format("{} of {} measurements reach their order less {}; {} could not be made", passed, cases.size(),
                          order_slack, unmeasured);
  return f;
}

void run_order(const OrderOptions& o) {
  o.common.apply();
  for (const auto& file : o.common.outputs(".svg")) require_plotting(file);
  as_usage([&] { return step_count("--steps", o.most_steps); });
  if (o.most_steps < 4 * first_order_steps)
    throw UsageError(fmt::format("--steps {}: an order needs runs of {}, {} and {} steps at least", o.most_steps,
                                 first_order_steps, 2 * first_order_steps, 4 * first_order_steps));
  deliver(o.common, findings_of(measure_orders(o), o.common.model.empty() ? "mixture" : o.common.model));
}

}  // namespace

Command order_study() {
  return {"order",
          "how fast every sampler converges on an exact problem: its order, measured on every schedule and prediction",
          "  costate study order --schedule vp_linear --prediction epsilon --out order.svg --out order.csv\n"
          "  costate study order --sampler heun,deis-2:starter=rk4,ddim:eta=1",
          [](Arguments& a) {
            const auto o = std::make_shared<OrderOptions>();
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
