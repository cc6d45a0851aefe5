// costate study gradient: every adjoint side by side, against the sampler's own gradient and the continuous truth.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/spec.h"
#include "solvers/fixed_runge_kutta.h"
#include "solvers/norm.h"
#include "tools/adjoint_options.h"
#include "tools/losses.h"
#include "tools/model/grid.h"
#include "tools/result.h"
#include "tools/table.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  AdjointOptions adjoint;
  std::string steps = "5,10,20,40,80", schedules, grids, adjoint_steps, loss = "norm";
};

constexpr double short_run = 0.5;  // seconds; a run in less is timed again
constexpr int truth_steps = 1000;  // of rk45 on the lambda grid: the truth is good to about ten digits

/// Where samplers run: a schedule and a grid by name; the label names both if several schedules are compared.
struct Setting {
  std::string label, grid;
  SchedulePtr schedule;
};

/// One adjoint at one N, M and setting.
struct Row {
  std::string setting, adjoint, refused;
  int steps = 0, adjoint_steps = 0;
  Gradient gradient;
  std::map<std::string, double> own, truth;  // relative errors of x_T, z, theta
  double seconds = 0;
  std::int64_t peak = 0;
};

/// What a gradient is with respect to: x_T, and the parameters by name (z, or theta for all weights together).
std::map<std::string, double> errors_of(const Gradient& g, const Gradient& reference, const Conditioned& c) {
  std::map<std::string, double> all{{"x_T", relative_distance({g.x_T}, {reference.x_T})}};
  std::map<std::string, std::pair<Tensors, Tensors>> groups;
  for (std::size_t i = 0; i < g.p.size(); ++i) {
    if (!g.p[i].defined() || !reference.p[i].defined()) continue;
    auto& [a, b] = groups[c.names[i] == "z" ? "z" : "theta"];
    a.push_back(g.p[i]), b.push_back(reference.p[i]);
  }
  for (const auto& [name, pair] : groups) all[name] = relative_distance(pair.first, pair.second);
  return all;
}

/// "ve", or with options "flow:t_max=0.98".
SchedulePtr schedule_named(const std::string& text) {
  const Spec spec = parse_spec("--schedule", text);
  auto config = nlohmann::json::parse(spec.options.dump());
  config["type"] = spec.name;
  return schedule_from(Config(config, "--schedule " + text));
}

/// Everywhere on the schedule; not where it begins at pure noise.
bool lambda_is_finite(const Schedule& schedule) { return schedule.level(schedule.t_max).alpha > 0; }

class Study {
 public:
  explicit Study(const Options& o)
      : o_(o),
        model_(o.common.load_to_sample()),
        precise_(load_model(o.common.model, {.dtype = DType::f64,
                                             .device = o.common.place(),
                                             .config = o.common.config,
                                             .scheduler = o.common.scheduler,
                                             .key = o.common.key})),
        loss_(make_loss(o.loss, model_, model_.sample_shape(), o.common, "")) {
    adjoints_ = o.adjoint.make();
    if (!o.adjoint_steps.empty()) require_own_levels("--adjoint-steps", adjoints_);
    for (const auto& [option, list] : {std::pair{"--steps", o.steps}, {"--adjoint-steps", o.adjoint_steps}})
      for (const auto count : list.empty() ? std::vector<std::int64_t>() : integer_list(option, list))
        as_usage([&, name = option] { return step_count(name, count); });
    const auto grids_of = [&](const SchedulePtr& schedule) {
      if (!o.grids.empty()) return words_of("--grid", o.grids);
      if (!model_.is_exact()) return std::vector{model_.grid};
      return lambda_is_finite(*schedule) ? std::vector<std::string>{"lambda", "t"} : std::vector<std::string>{"t"};
    };
    if (o.schedules.empty())
      for (const auto& grid : grids_of(model_.schedule)) settings_.push_back({grid, grid, model_.schedule});
    for (const auto& name : words_of("--schedule", o.schedules)) {
      if (!model_.is_exact())
        throw UsageError("--schedule: " + model_.name + " is a network, and trained for its own; leave it out");
      const auto schedule = as_usage([&] { return schedule_named(name); });
      for (const auto& grid : grids_of(schedule)) settings_.push_back({name + " " + grid, grid, schedule});
    }
  }

  void compute() {
    const auto counts = integer_list("--steps", o_.steps);
    const Progress progress = o_.common.progress("gradients");
    const auto all = static_cast<std::int64_t>(settings_.size() * counts.size() * adjoints_.size());
    for (const auto& setting : settings_) {
      if (!o_.schedules.empty())
        for (Model* model : {&model_, &precise_}) *model = with_schedule(*model, setting.schedule->config());
      for (const auto n : counts) {
        const Reference reference = reference_of(setting, n);
        for (const Adjoint& adjoint : adjoints_) {
          for (const auto m : steps_of(adjoint, n)) rows_.push_back(measure(setting, n, m, adjoint, reference));
          report(progress, ++done_, all);
        }
      }
    }
  }

  [[nodiscard]] Findings findings() const {
    Findings f{.study = "gradient",
               .model = model_.name,
               .summary = {{"grid", "N", "M", "adjoint", "own x_T", "own z", "own theta", "true x_T", "true z",
                            "true theta", "evaluations", "VJPs", "ms", "peak KiB"}},
               .details = {{"grid", "steps", "adjoint_steps", "adjoint", "own_x_T", "own_z", "own_theta", "truth_x_T",
                            "truth_z", "truth_theta", "nfe", "vjps", "seconds", "peak_bytes", "note"}},
               .panels = panels(),
               .columns = 3,
               .verdict = page()};
    for (const auto& r : rows_) {
      std::vector<std::string> row{r.setting, std::to_string(r.steps), std::to_string(r.adjoint_steps), r.adjoint};
      for (const auto* errors : {&r.own, &r.truth}) {
        for (const char* of : {"x_T", "z", "theta"})
          row.push_back(errors->count(of) != 0 ? cell(errors->at(of), "{:.2e}") : "-");
      }
      auto detail = row;
      row.insert(row.end(),
                 {std::to_string(r.gradient.nfe), std::to_string(r.gradient.vjps), cell(1e3 * r.seconds, "{:.1f}"),
                  fmt::format("{:.0f}", static_cast<double>(r.peak) / 1024)});
      detail.insert(detail.end(),
                    {std::to_string(r.gradient.nfe), std::to_string(r.gradient.vjps), cell(r.seconds, "{:.6g}"),
                     std::to_string(r.peak), r.refused.empty() ? r.gradient.warning : r.refused});
      if (r.refused.empty()) f.summary.rows.push_back(row);
      f.details.rows.push_back(detail);
    }
    return f;
  }

 private:
  struct Reference {
    Gradient own, truth;  // truth.x_T undefined: unknown
  };

  [[nodiscard]] SamplingOptions with(const std::string& grid, std::int64_t steps) const {
    SamplingOptions s = o_.sampling;
    s.grid = grid;
    s.steps = steps;
    return s;
  }
  [[nodiscard]] std::vector<std::int64_t> steps_of(const Adjoint& adjoint, std::int64_t n) const {
    if (o_.adjoint_steps.empty() || !has_own_levels(adjoint)) return {n};
    return integer_list("--adjoint-steps", o_.adjoint_steps);
  }

  Gradient gradient(const Model& model, const std::string& grid, std::int64_t n, const Adjoint& adjoint,
                    const Grid& levels, const Stepper* stepper = nullptr) {
    const Run run(with(grid, n), o_.common, model);
    const Condition condition = run.condition(0, run.count());
    conditioned_ = make_conditioned(model, condition, run.count(), run.grid());
    const bool weights = adjoint.name != "endpoint-fisher";
    GradientProblem problem = run.problem(condition, conditioned_, weights);
    if (weights) problem.wrt_p = conditioned_.wanted(true, true);
    problem.loss = loss_;
    problem.adjoint_grid = levels;
    if (stepper != nullptr) problem.sampler.stepper = *stepper, problem.groups = {};
    return adjoint.gradient(problem);
  }

  Reference reference_of(const Setting& setting, std::int64_t n) {
    const auto& [label, grid, schedule] = setting;
    Reference r{gradient(precise_, grid, n, make_adjoint("checkpointed"), {}), {}};
    const bool ode = Run(with(grid, n), o_.common, model_).stepper().eta == 0;
    if (model_.is_exact() && ode && lambda_is_finite(*schedule) && truth_.count(label) == 0) {
      const Stepper rk = fixed_runge_kutta(find_tableau("rk45"));
      truth_[label] = gradient(precise_, "lambda", truth_steps, make_adjoint("checkpointed"), {}, &rk);
    }
    if (truth_.count(label) != 0) r.truth = truth_[label];
    return r;
  }

  Row measure(const Setting& setting, std::int64_t n, std::int64_t m, const Adjoint& adjoint,
              const Reference& reference) {
    Row row{.setting = setting.label,
            .adjoint = adjoint.name,
            .refused = {},
            .steps = static_cast<int>(n),
            .adjoint_steps = static_cast<int>(m),
            .gradient = {},
            .own = {},
            .truth = {}};
    const Grid levels = m == n ? Grid() : AdjointOptions{.steps = m}.levels(with(setting.grid, n), model_);
    try {
      const std::int64_t before = memory_use(model_.device).live;
      reset_peak(model_.device);
      row.seconds = std::numeric_limits<double>::infinity();
      double spent = 0;
      for (int i = 0; i < 5 && (i == 0 || spent < short_run); ++i) {  // short ones again: the least of them
        const auto start = std::chrono::steady_clock::now();
        row.gradient = gradient(model_, setting.grid, n, adjoint, levels);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        spent += seconds;
        row.seconds = std::min(row.seconds, seconds);
      }
      row.peak = memory_use(model_.device).peak - before;
    } catch (const Error& e) {
      row.refused = e.what();  // one that diverges, or does not fit the sampler: a finding as well
      return row;
    }
    row.own = errors_of(row.gradient, reference.own, conditioned_);
    if (reference.truth.x_T.defined()) row.truth = errors_of(row.gradient, reference.truth, conditioned_);
    return row;
  }

  /// Slope of ln error against ln steps over the two largest N, negated.
  [[nodiscard]] double order_of(const std::string& setting, const std::string& adjoint) const {
    std::vector<const Row*> own;
    for (const auto& r : rows_)
      if (r.setting == setting && r.adjoint == adjoint && r.truth.count("x_T") != 0) own.push_back(&r);
    if (own.size() < 2) return NAN;
    const Row &a = *own[own.size() - 2], &b = *own.back();
    return std::log(a.truth.at("x_T") / b.truth.at("x_T")) /
           std::log(static_cast<double>(b.adjoint_steps) / a.adjoint_steps);
  }

  [[nodiscard]] std::vector<Panel> panels() const {
    std::vector<Panel> all;
    for (const auto& [setting, grid, schedule] : settings_) {
      const bool known = truth_.count(setting) != 0;
      Panel error{
          fmt::format("x_T gradient against {}, grid {}", known ? "the exact ODE" : "the sampler itself", setting),
          known ? "steps (in brackets: measured order)" : "steps", "relative error"},
          time{"what that error costs, grid " + setting, "milliseconds", "relative error"},
          bytes{"memory of the gradient, grid " + setting, "steps", "peak, KiB"};
      for (const auto& adjoint : adjoints_) {
        Series e{adjoint.name, {}, {}}, t = e, b = e;
        for (const auto& r : rows_) {
          if (r.setting != setting || r.adjoint != adjoint.name || !r.refused.empty()) continue;
          const double off = r.truth.count("x_T") != 0 ? r.truth.at("x_T") : r.own.at("x_T");
          e.x.push_back(r.adjoint_steps), e.y.push_back(off);
          t.x.push_back(1e3 * r.seconds), t.y.push_back(off);
          b.x.push_back(r.adjoint_steps), b.y.push_back(static_cast<double>(r.peak) / 1024);
        }
        if (const double order = order_of(setting, adjoint.name); std::isfinite(order))
          e.label += fmt::format(" ({:.1f})", order);
        error.series.push_back(e), time.series.push_back(t), bytes.series.push_back(b);
      }
      if (known) error.triangles = {{1}, {2}};
      all.insert(all.end(), {error, time, bytes});
    }
    return all;
  }

  /// One page for a reader who has not read the papers.
  [[nodiscard]] std::string page() const {
    std::string text =
        "\nHow to read this. A sampler turns noise x_T into a sample x_0 in N steps; the table shows how well each "
        "method finds the\n"
        "gradient of a loss of x_0: in x_T, in the condition z and in the weights theta. `own` is the distance "
        "|g - g'| / |g'| from\n"
        "the gradient of those N steps themselves, which is what an optimiser that uses the sampler needs; 0 to "
        "rounding for exact\n"
        "methods, whatever N is. `true` is the distance from the gradient of the ODE that infinitely many steps "
        "would solve. A\n"
        "continuous adjoint solves an equation for the gradient in M steps of its own, so both its errors fall with "
        "the step; 1 means\n"
        "that the number found is worth nothing. Costs: evaluations of the network, derivatives pulled back through "
        "one of them (VJPs),\n"
        "time (short runs: the least of five), and the most bytes that were alive at once.\n\n";
    for (const auto& type : adjoints())
      if (std::any_of(adjoints_.begin(), adjoints_.end(), [&](const Adjoint& a) { return a.name == type.name; }))
        text += fmt::format("  {:16} gradient of {}; order: {}; keeps {}\n", type.name, type.consistent, type.order,
                            type.memory);
    std::string unstable, refused;
    for (const auto& r : rows_) {
      if (unstable.empty() && !r.gradient.warning.empty()) unstable = r.gradient.warning;
      if (refused.empty() && !r.refused.empty()) refused = r.refused;
    }
    if (!unstable.empty()) text += "\nStiffness: " + unstable + "\n";
    if (!refused.empty()) text += "\nLeft out: " + refused + "\n";
    text += "\n" + orders();
    return text;
  }

  /// A line for each setting, where the truth is known.
  [[nodiscard]] std::string orders() const {
    std::string text;
    for (const auto& setting : settings_) {
      std::string found;
      for (const auto& adjoint : adjoints_) {
        if (const double order = order_of(setting.label, adjoint.name); std::isfinite(order))
          found += fmt::format("{}{} {:.2f}", found.empty() ? "" : ", ", adjoint.name, order);
      }
      if (!found.empty()) text += "Order in x_T between the two largest N, grid " + setting.label + ": " + found + "\n";
    }
    return text;
  }

  const Options& o_;
  Model model_, precise_;
  Loss loss_;
  std::vector<Adjoint> adjoints_;
  std::vector<Setting> settings_;
  std::map<std::string, Gradient> truth_;
  Conditioned conditioned_;
  std::vector<Row> rows_;
  std::int64_t done_ = 0;
};

void run_study(const Options& o) {
  o.common.apply();
  for (const auto& file : o.common.outputs(".svg")) require_plotting(file);
  Study study(o);
  study.compute();
  deliver(o.common, study.findings());
}

}  // namespace

Command gradient_study() {
  return {
      "gradient", "methods of gradients (adjoints) side by side: error, time, memory",
      "  costate study gradient fashion-unet --steps 5,10 --adjoint checkpointed,adjointdeis-1,adjointdeis-2m\n"
      "  costate study gradient fashion-unet --steps 10 --adjoint adjointdeis-1 --adjoint-steps 5,10,20 --out m.csv",
      [](Arguments& a) {
        const auto o = std::make_shared<Options>();
        o->adjoint.names =
            "direct,checkpointed,symplectic,adjointdeis-1,adjointdeis-2m,costate-vp-1,adjointdpm,interpolated,"
            "backsolve";
        o->common.declare(a, study_extensions);
        a.option("--sampler", o->sampling.sampler, "see `costate list samplers` [ddim]", "NAME");
        a.option("--steps", o->steps, "numbers N of steps of the sampler [5,10,20,40,80]", "LIST");
        a.option("--adjoint-steps", o->adjoint_steps, "numbers M of steps of continuous adjoints [N]", "LIST");
        a.option("--adjoint", o->adjoint.names, "see `costate list adjoints` [all that fit ddim]", "LIST");
        a.option(
            "--states", o->adjoint.states,
            "of continuous adjoints: cached, the sampler's own states, or resolved, solved again from x_0 [cached]",
            "NAME");
        a.option("--schedule", o->schedules,
                 "of exact problems, see `costate list schedules`; with options ve:sigma_max=10 [the problem's]",
                 "LIST");
        a.option("--grid", o->grids, "see `costate list grids` [lambda,t for exact problems, else the model's]",
                 "LIST");
        a.option("--eta", o->sampling.eta,
                 "share of fresh noise, for samplers that have this option [the sampler's: 0 of ddim]", "E");
        a.option("-n,--count", o->sampling.count, "number of samples [1]");
        a.option("--class", o->sampling.classes, "labels a,b,c [all in turn]", "LIST");
        a.option("--guidance", o->sampling.guidance, "w of eps_null + w (eps_class - eps_null) [1]", "W");
        a.option("--loss", o->loss, loss_names, "NAME");
        o->sampling.count = 1;
        return [o] { run_study(*o); };
      }};
}

}  // namespace costate
