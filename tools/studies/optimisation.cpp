// costate study optimisation: morphs of two garments by latent optimisation, one gradient method against another.
#include <chrono>
#include <cmath>
#include <map>
#include <memory>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/relu.h"
#include "autodiff/ops/sum.h"
#include "core/spec.h"
#include "tools/adjoint_options.h"
#include "tools/latent_optimisation.h"
#include "tools/losses.h"
#include "tools/model/grid.h"
#include "tools/table.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  std::string adjoints = "checkpointed,adjointdeis-1,adjointdeis-2m", preset = "steps", adjoint_steps, rates;
  std::string equations = "ODE,SDE", optimiser = "adam", classifier;
  std::int64_t iterations = 10, seeds = 1;
};

/// The two ablations of Blasingame and Liu 2024, appendix: over the steps M of the adjoint, and over learning rates.
void fill_in(Options& o) {
  if (o.preset != "steps" && o.preset != "rates")
    throw UsageError("--preset " + o.preset + ": there are steps and rates");
  std::vector<Adjoint> adjoints;
  for (const auto& name : words_of("--adjoint", o.adjoints))
    adjoints.push_back(as_usage([&] { return make_adjoint(name); }));
  if (!o.adjoint_steps.empty()) require_own_levels("--adjoint-steps", adjoints);
  const bool steps = o.preset == "steps";
  if (o.adjoint_steps.empty()) o.adjoint_steps = steps ? "20,15,10,5" : "20";
  if (o.rates.empty()) o.rates = steps ? "0.05" : "0.01,0.05,0.1";
}

struct Row {
  std::string equation, adjoint, failed;
  int adjoint_steps = 0;
  double rate = 0, first = 0, last = 0, farther = NAN, seconds = 0;
  std::int64_t evaluations = 0;
  std::vector<double> losses;
  double spread = NAN;  ///< of `last` over the seeds: standard deviation
};
using Rows = std::vector<Row>;

/// The same row of every seed as one: means, and the spread of the loss that is reached.
Row mean_of(const Rows& seeds) {
  Row all = seeds.front();
  if (seeds.size() == 1) return all;
  const auto count = static_cast<double>(seeds.size());
  const auto mean = [&](auto&& of) {
    double total = 0;
    for (const Row& r : seeds) total += of(r);
    return total / count;
  };
  for (double Row::*field : {&Row::first, &Row::last, &Row::farther, &Row::seconds})
    all.*field = mean([&](const Row& r) { return r.*field; });
  all.spread =
      std::sqrt(mean([&](const Row& r) { return (r.last - all.last) * (r.last - all.last); }) * count / (count - 1));
  for (const Row& r : seeds) {
    if (!r.failed.empty()) all.failed = r.failed;
    all.losses.resize(std::min(all.losses.size(), r.losses.size()));
  }
  for (std::size_t i = 0; i < all.losses.size(); ++i) all.losses[i] = mean([&](const Row& r) { return r.losses[i]; });
  return all;
}

std::vector<double> number_list(const std::string& option, const std::string& text) {
  std::vector<double> all;
  for (const auto& word : words_of(option, text)) {
    char* end = nullptr;
    all.push_back(std::strtod(word.c_str(), &end));
    if (*end != 0 || !(all.back() > 0)) throw UsageError(option + " " + word + ": wants positive numbers");
  }
  return all;
}

/// On the great circle between two rows of noise, halfway: of the same length as both.
Tensor halfway(const Tensor& a, const Tensor& b) { return (a + b) * std::sqrt(0.5); }

/// Two samples A and B of one pair, their latents, and the morph that starts between them: as the paper's morphs of faces.
class Study {
 public:
  explicit Study(const Options& o)
      : o_(o), model_(o.common.load_to_sample()), distance_(feature_distance(model_, o.common, o.classifier)) {
    const Run a = run("ODE", 0), b = run("ODE", 1);
    const Conditioned ca = conditioned(a), cb = conditioned(b);
    if (ca.first_theta == 0)
      throw UsageError(fmt::format("{}: has no condition z; give a model with classes", model_.name));
    const GradientProblem to_a = problem_of(a, ca), to_b = problem_of(b, cb);
    targets_ = {sample(to_a), sample(to_b)};
    x_T_ = halfway(to_a.x_T, to_b.x_T);
    z_ = 0.5 * (ca.p[0] + cb.p[0]);
  }

  void compute() {
    const auto equations = words_of("--equation", o_.equations), adjoints = words_of("--adjoint", o_.adjoints);
    const auto rates = number_list("--rate", o_.rates);
    const Progress progress = o_.common.progress("morphs");
    std::int64_t done = 0;
    for (const auto& equation : equations) {
      if (equation != "ODE" && equation != "SDE")
        throw UsageError("--equation " + equation + ": there are ODE and SDE");
      for (const auto& name : adjoints) {
        const Adjoint adjoint = as_usage([&] { return make_adjoint(name); });
        auto counts = integer_list("--adjoint-steps", o_.adjoint_steps);
        if (!has_own_levels(adjoint)) counts = {o_.sampling.steps_or_default()};
        for (const auto m : counts)
          for (const double rate : rates) rows_.push_back(optimise(equation, adjoint, static_cast<int>(m), rate));
        report(progress, ++done, static_cast<std::int64_t>(equations.size() * adjoints.size()));
      }
    }
  }

  [[nodiscard]] const Rows& rows() const { return rows_; }

  /// Of this and further seeds.
  [[nodiscard]] Findings findings(const std::vector<Rows>& seeds) {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      Rows same;
      for (const Rows& rows : seeds) same.push_back(rows[i]);
      rows_[i] = mean_of(same);
    }
    Findings f{.study = "optimisation",
               .model = model_.name,
               .summary = {{"equation", "adjoint", "M", "rate", "loss before", "after", "+-", "of exact", "farther",
                            "evaluations", "s"}},
               .details = {{"equation", "adjoint", "adjoint_steps", "rate", "iteration", "loss", "note"}},
               .panels = panels(),
               .verdict = verdict()};
    for (const auto& r : rows_) {
      f.summary.rows.push_back({r.equation, r.adjoint, std::to_string(r.adjoint_steps), cell(r.rate),
                                cell(r.first, "{:.4f}"), cell(r.last, "{:.4f}"), cell(r.spread, "{:.4f}"),
                                cell(share(r), "{:.2f}"), cell(r.farther, "{:.4f}"), std::to_string(r.evaluations),
                                cell(r.seconds, "{:.1f}")});
      for (std::size_t i = 0; i < r.losses.size(); ++i)
        f.details.rows.push_back({r.equation, r.adjoint, std::to_string(r.adjoint_steps), cell(r.rate),
                                  std::to_string(i), cell(r.losses[i], "{:.6g}"), r.failed});
    }
    return f;
  }

 private:
  /// Sample `which` of every pair: its own seed, and of the classes given the next one.
  [[nodiscard]] Run run(const std::string& equation, std::int64_t which) const {
    SamplingOptions s = o_.sampling;
    s.eta = equation == "SDE" ? 1 : 0;
    Common c = o_.common;
    c.seed += static_cast<std::uint64_t>(which);
    auto classes = integer_list("--class", s.classes);
    std::rotate(classes.begin(), classes.begin() + which % static_cast<std::int64_t>(classes.size()), classes.end());
    s.classes = fmt::format("{}", fmt::join(classes, ","));
    return {s, c, model_};
  }
  [[nodiscard]] Conditioned conditioned(const Run& r) const {
    return make_conditioned(model_, r.condition(0, r.count()), r.count(), r.grid());
  }
  [[nodiscard]] static GradientProblem problem_of(const Run& r, const Conditioned& c) {
    return r.problem(r.condition(0, r.count()), c, false);
  }

  /// d_A + d_B + |d_A - d_B| of every pair: twice the distance to the one that the morph is farther from.
  [[nodiscard]] Tensor twice_farther(const Tensor& x) const {
    const Tensor a = distance_(x, targets_[0]), b = distance_(x, targets_[1]);
    return a + b + relu(a - b) + relu(b - a);
  }

  Row optimise(const std::string& equation, const Adjoint& adjoint, int m, double rate) {
    const Run r = run(equation, 0);
    Conditioned c = conditioned(r);
    GradientProblem problem = problem_of(r, c);
    c.p[0] = z_;
    problem.x_T = x_T_;
    problem.loss = [this](const Tensor& x) { return mean(twice_farther(x)); };
    if (m != o_.sampling.steps_or_default())
      problem.adjoint_grid = AdjointOptions{.steps = m}.levels(o_.sampling, model_);
    LatentOptimisation work(problem, c, {.x_T = true, .z = true}, adjoint,
                            {.kind = as_usage([&] { return optimiser_from(o_.optimiser); }), .rate = rate});
    Row row{
        .equation = equation, .adjoint = adjoint.name, .failed = {}, .adjoint_steps = m, .rate = rate, .losses = {}};
    const auto start = std::chrono::steady_clock::now();
    try {
      for (std::int64_t i = 0; i < o_.iterations; ++i) {
        const Gradient g = work.gradient();
        row.evaluations += g.nfe;
        work.descend(g);
      }
      const auto [x, loss] = work.look();
      row.losses = work.losses();
      row.losses.push_back(loss);
      row.farther = mean(twice_farther(x)).item() / 2;
    } catch (const Error& e) {  // one that diverges: a finding as well
      row.failed = e.what();
      row.losses = work.losses();
    }
    row.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    row.first = row.losses.empty() ? NAN : row.losses.front();
    row.last = row.failed.empty() ? row.losses.back() : NAN;
    return row;
  }

  /// What it gained, as a share of what the sampler's own gradient gained at the same rate.
  [[nodiscard]] double share(const Row& r) const {
    for (const auto& e : rows_) {
      if (e.equation == r.equation && e.rate == r.rate && e.adjoint == "checkpointed")
        return (r.first - r.last) / (e.first - e.last);
    }
    return NAN;
  }

  [[nodiscard]] std::vector<Panel> panels() const {
    std::map<std::string, Panel> by_equation;
    for (const auto& r : rows_) {
      Panel& panel =
          by_equation.try_emplace(r.equation, Panel{"loss of the morphs, " + r.equation, "iteration", "loss", false})
              .first->second;
      Series s{fmt::format("{}, M {}, rate {}", r.adjoint, r.adjoint_steps, r.rate), {}, {}};
      for (std::size_t i = 0; i < r.losses.size(); ++i)
        s.x.push_back(static_cast<double>(i)), s.y.push_back(r.losses[i]);
      panel.series.push_back(s);
    }
    std::vector<Panel> all;
    for (const auto& [name, panel] : by_equation) all.push_back(panel);
    return all;
  }

  [[nodiscard]] std::string verdict() const {
    std::string text =
        "\nEvery pair of samples A and B has a morph that starts halfway between their latents; x_T and z are "
        "optimised "
        "for\nloss = d_A + d_B + |d_A - d_B|, d the cosine distance of the classifier's features. `of exact`: the gain "
        "as "
        "a share of\nthat of the sampler's own gradient at the same rate. `farther`: distance to the farther of A and "
        "B; `+-`: standard deviation of `after` over the seeds.\n";
    for (const auto& equation : words_of("--equation", o_.equations)) {
      const Row* best = nullptr;
      for (const auto& r : rows_)
        if (r.equation == equation && std::isfinite(r.last) && (best == nullptr || r.last < best->last)) best = &r;
      if (best != nullptr)
        text += fmt::format("{}: lowest loss {:.4f} by {}, M = {}, rate {}\n", equation, best->last, best->adjoint,
                            best->adjoint_steps, best->rate);
    }
    for (const auto& r : rows_)
      if (!r.failed.empty()) return text + "Failed: " + r.failed + "\n";
    return text;
  }

  Options o_;
  Model model_;
  std::function<Tensor(const Tensor&, const Tensor&)> distance_;
  Tensors targets_;
  Tensor x_T_, z_;
  std::vector<Row> rows_;
};

void run_study(Options& o) {
  fill_in(o);
  o.common.apply();
  for (const auto& file : o.common.outputs(".svg")) require_plotting(file);
  for (const auto m : integer_list("--adjoint-steps", o.adjoint_steps))
    as_usage([&] { return step_count("--adjoint-steps", m); });
  if (o.iterations < 1) throw UsageError(fmt::format("--iterations {}: give at least one", o.iterations));
  if (o.seeds < 1) throw UsageError(fmt::format("--seeds {}: give at least one", o.seeds));
  std::unique_ptr<Study> study;
  std::vector<Rows> seeds;
  for (std::int64_t k = 0; k < o.seeds; ++k) {
    Options own = o;
    own.common.seed += 2 * static_cast<std::uint64_t>(k);  // A and B of a pair have one each
    study = std::make_unique<Study>(own);
    study->compute();
    seeds.push_back(study->rows());
  }
  deliver(o.common, study->findings(seeds));
}

}  // namespace

Command optimisation_study() {
  return {
      "optimisation", "morphs between samples by optimisation: adjoints, their steps M and learning rates side by side",
      "  costate study optimisation fashion-unet --out morphs.svg --out morphs.csv\n"
      "  costate study optimisation fashion-unet --preset rates\n"
      "  costate study optimisation fashion-unet -n 1 --steps 5 --adjoint-steps 5 --iterations 3 --equation ODE",
      [](Arguments& a) {
        const auto o = std::make_shared<Options>();
        o->common.declare(a, study_extensions);
        o->sampling.count = 2;
        o->sampling.default_steps = 20;
        o->sampling.classes = "0,3,7,9";
        a.option("-n,--count", o->sampling.count, "number of pairs [2]");
        a.option("--steps", o->sampling.steps, "steps N of the sampler, DDIM [20]");
        a.option("--grid", o->sampling.grid, "see `costate list grids` [the model's]", "NAME");
        a.option("--class", o->sampling.classes, "labels: pair i is of the (i mod length)-th and the next [0,3,7,9]",
                 "LIST");
        a.option("--guidance", o->sampling.guidance, "w of eps_null + w (eps_class - eps_null) [1]", "W");
        a.option("--equation", o->equations, "ODE (eta 0) and SDE (eta 1, its noise replayed) [ODE,SDE]", "LIST");
        a.option("--adjoint", o->adjoints, "see `costate list adjoints` [checkpointed,adjointdeis-1,adjointdeis-2m]",
                 "LIST");
        a.option("--preset", o->preset,
                 "the ablation: steps (M = 20, 15, 10, 5 at rate 0.05) or rates (0.01, 0.05, 0.1 at M = 20) [steps]",
                 "NAME");
        a.option("--adjoint-steps", o->adjoint_steps, "steps M of the continuous adjoints [the preset's]", "LIST");
        a.option("--rate", o->rates, "learning rates [the preset's]", "LIST");
        a.option("--optimiser", o->optimiser, "adam or sgd [adam]", "NAME");
        a.option("--seeds", o->seeds, "so many runs with other noise: means, and the spread of what is reached [1]",
                 "K");
        a.option("--iterations", o->iterations, "steps of the optimiser [10]");
        a.option("--loss-classifier", o->classifier, "the MODEL whose features are compared [fashion-classifier]",
                 "MODEL");
        return [o] { run_study(*o); };
      }};
}

}  // namespace costate
