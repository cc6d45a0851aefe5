// costate study error-model: the relative-error model of a denoiser, measured along DDIM paths.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "solvers/point_set.h"
#include "tools/batches.h"
#include "tools/reference_data.h"
#include "tools/sampling.h"
#include "tools/table.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  std::string data;
  std::int64_t references = 1000;
};

/// One level of the grid, over all paths.
struct Row {
  double s = 0, beta = NAN, radius = 0;  // radius = sqrt(d) s; beta of the step that leaves this level
  /// Per path: dist, |s eps - (y - nearest)| / dist, |eps - ideal| / |ideal|.
  std::vector<double> distance = {}, eta = {}, to_ideal = {};
};

double quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values.empty() ? NAN : values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
}

/// |a_i - b_i| of every row.
std::vector<double> row_distances(const Tensor& a, const Tensor& b) {
  const auto u = a.to_vector(), v = b.to_vector();
  std::vector<double> sums(static_cast<std::size_t>(a.dim(0)), 0);
  const std::size_t d = u.size() / sums.size();
  for (std::size_t i = 0; i < u.size(); ++i) sums[i / d] += (u[i] - v[i]) * (u[i] - v[i]);
  for (double& s : sums) s = std::sqrt(s);
  return sums;
}

class Study {
 public:
  explicit Study(const Options& o) : o_(o), model_(o.common.load_to_sample()), run_(o.sampling, o.common, model_) {
    const Tensor data = read_reference_data(o.data, model_, o.references);
    points_ = data.reshaped({data.dim(0), data.size() / data.dim(0)});
    ideal_ = point_set(points_);
  }

  void compute() {
    const Grid& grid = run_.grid();
    const std::int64_t n = run_.count(), batch = batch_of(run_.stepper().batching, n, n);
    std::vector<Tensors> states(grid.size()), eps(grid.size());  // of every level, batch by batch
    for (std::int64_t first = 0; first < n; first += batch) {
      const Conditioned c = make_conditioned(model_, run_.condition(first, batch), batch, grid);
      const Sampler sampler = run_.sampler(c, first, batch);
      walk(sampler, run_.x_T(first, batch), c.p, o_.common.progress("paths"), [&](int index, const State& state) {
        const auto i = static_cast<std::size_t>(index);
        if (index == sampler.steps() || grid[i].alpha == 0) return;  // the model speaks of levels that are evaluated
        states[i].push_back(state.y);
        eps[i].push_back(sampler.denoiser.eps(state.y, grid[i], c.p));
      });
    }
    for (std::size_t i = 0; i < grid.size(); ++i) {
      if (states[i].empty()) continue;
      Row row = look(grid[i], concat(states[i], 0), concat(eps[i], 0));
      row.beta = 1 - grid[i + 1].s() / grid[i].s();
      rows_.push_back(row);
    }
  }

  [[nodiscard]] Findings findings() const {
    Findings f{.study = "error-model",
               .model = model_.name,
               .summary = {{"s", "beta", "sqrt(d) s", "distance", "ratio", "eta", "eta 90 %", "to ideal"}},
               .details = {{"s", "beta", "radius", "distance_10", "distance_50", "distance_90", "ratio", "eta_10",
                            "eta_50", "eta_90", "to_ideal_50"}},
               .panels = panels()};
    for (const auto& r : rows_) {
      const double ratio = quantile(r.distance, 0.5) / r.radius;
      f.summary.rows.push_back({cell(r.s), cell(r.beta), cell(r.radius), cell(quantile(r.distance, 0.5)), cell(ratio),
                                cell(quantile(r.eta, 0.5)), cell(quantile(r.eta, 0.9)),
                                cell(quantile(r.to_ideal, 0.5))});
      f.details.rows.push_back({cell(r.s, "{:.6g}"), cell(r.beta, "{:.6g}"), cell(r.radius, "{:.6g}"),
                                cell(quantile(r.distance, 0.1), "{:.6g}"), cell(quantile(r.distance, 0.5), "{:.6g}"),
                                cell(quantile(r.distance, 0.9), "{:.6g}"), cell(ratio, "{:.6g}"),
                                cell(quantile(r.eta, 0.1), "{:.6g}"), cell(quantile(r.eta, 0.5), "{:.6g}"),
                                cell(quantile(r.eta, 0.9), "{:.6g}"), cell(quantile(r.to_ideal, 0.5), "{:.6g}")});
    }
    f.verdict = verdict();
    return f;
  }

 private:
  Row look(const Level& at, const Tensor& y, const Tensor& eps) const {
    const std::int64_t n = y.dim(0);
    const Tensor flat = cast(y, DType::f64).reshaped({n, y.size() / n}),
                 flat_eps = cast(eps, DType::f64).reshaped(flat.shape());
    const double s = at.s();
    const Nearest nearest = nearest_points(points_, flat);
    const Tensor best = ideal_.net(flat, {0, 1, s}, ideal_.p);
    Row row{.s = s, .radius = std::sqrt(static_cast<double>(flat.dim(1))) * s, .distance = nearest.distance};
    row.eta = row_distances(s * flat_eps, flat - nearest.point);
    row.to_ideal = row_distances(flat_eps, best);
    const auto size = row_distances(best, 0.0 * best);
    for (std::size_t i = 0; i < row.eta.size(); ++i) row.eta[i] /= row.distance[i], row.to_ideal[i] /= size[i];
    return row;
  }

  /// The model that nine in ten points of every level keep to, and whether this grid is admissible for it.
  [[nodiscard]] std::string verdict() const {
    ErrorModel m;
    std::vector<double> s;
    for (const auto& r : rows_) {
      s.push_back(r.s);
      m.eta = std::max(m.eta, quantile(r.eta, 0.9));
      for (const double part : {0.1, 0.9}) {
        const double ratio = quantile(r.distance, part) / r.radius;
        m.nu = std::max({m.nu, ratio, 1 / ratio});
      }
    }
    const int steps = static_cast<int>(rows_.size()) - 1;
    return fmt::format(
        "nine in ten keep to eta = {:.3g}, nu = {:.3g}; this grid is {}admissible for these; the largest admissible "
        "constant beta in {} steps is {:.3g}",
        m.eta, m.nu, is_admissible(s, m) ? "" : "not ", steps, steps > 0 ? largest_beta(m, steps) : NAN);
  }

  [[nodiscard]] std::vector<Panel> panels() const {
    Panel distance{"distance to the data, in sqrt(d) s", "s = sigma / alpha", "distance / (sqrt(d) s)"},
        error{"relative error", "s = sigma / alpha", "eta"};
    // A quantile has the same place, and so the same colour, in both.
    const auto bands = [&](auto&& values) {
      std::vector<Series> all{{"median", {}, {}}, {"90 %", {}, {}, true}, {"10 %", {}, {}, true}};
      for (std::size_t k = 0; k < all.size(); ++k)
        for (const auto& r : rows_) {
          const auto [of, unit] = values(r);
          all[k].x.push_back(r.s), all[k].y.push_back(quantile(of, std::array{0.5, 0.9, 0.1}[k]) / unit);
        }
      return all;
    };
    distance.series = bands([](const Row& r) { return std::pair(r.distance, r.radius); });
    error.series = bands([](const Row& r) { return std::pair(r.eta, 1.0); });
    Series ideal{"to ideal", {}, {}};
    for (const auto& r : rows_) ideal.x.push_back(r.s), ideal.y.push_back(quantile(r.to_ideal, 0.5));
    error.series.push_back(ideal);
    for (Panel* panel : {&distance, &error})
      for (Series& line : panel->series)  // labels stand at the noisy end
        std::reverse(line.x.begin(), line.x.end()), std::reverse(line.y.begin(), line.y.end());
    return {distance, error};
  }

  Options o_;
  Model model_;
  Run run_;
  Tensor points_;  // (m, d)
  ExactProblem ideal_;
  std::vector<Row> rows_;
};

void run_error_model(const Options& o) {
  o.common.apply();
  for (const auto& file : o.common.outputs(".svg")) require_plotting(file);
  if (o.data.empty()) throw UsageError("--data: give the data: an IDX file, an .h5 file or a folder of .png");
  Study study(o);
  study.compute();
  deliver(o.common, study.findings());
}

}  // namespace

Command error_model_study() {
  return {"error-model", "how far a denoiser points from where the data are, along the paths of a sampler",
          "  costate study error-model fashion-unet --data t10k-images-idx3-ubyte.gz --steps 20 --out error.svg\n"
          "  costate study error-model fashion-unet --data t10k-images-idx3-ubyte.gz --references 5000 --out error.csv",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->sampling.count = 8, o->sampling.default_steps = 20;
            o->common.declare(a, study_extensions);
            a.option("--data", o->data, "the data set: IDX images, .h5 with x (n,...), or a folder of .png", "FILE");
            a.option("--references", o->references, "how many data are used [1000]");
            a.option("--sampler", o->sampling.sampler, "whose path is followed [ddim]", "NAME");
            a.option("--steps", o->sampling.steps, "steps of the grid [20]");
            a.option("--grid", o->sampling.grid, "see `costate list grids` [the model's own]", "NAME");
            a.option("-n,--count", o->sampling.count, "samples whose paths are followed [8]");
            a.option("--class", o->sampling.classes, "labels a,b,c [all in turn]", "LIST");
            a.option("--guidance", o->sampling.guidance, "w of eps_null + w (eps_class - eps_null) [1]", "W");
            return [o] { run_error_model(*o); };
          }};
}

}  // namespace costate
