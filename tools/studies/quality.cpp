// costate study quality: samplers and step counts by the distance of what they draw from data.
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>

#include "autodiff/ops/concat.h"
#include "core/spec.h"
#include "io/hdf5.h"
#include "tools/batches.h"
#include "tools/distances.h"
#include "tools/reference_data.h"
#include "tools/sampling.h"
#include "tools/table.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  std::string samplers = "ddim,heun,dpmpp-2m,unipc-2,ge", steps = "5,10,20", data;
  std::int64_t batch = 16, references = 1000, directions = 200;
};

struct Row {
  std::string sampler;
  std::int64_t steps = 0;
  double evaluations = 0, seconds = 0;  // of the sample that takes most; of one sample
  Distances found = {};
};

/// Says so where the data of an .h5 file are themselves samples.
std::string origin(const std::string& file) {
  const bool is_h5 = std::filesystem::path(file).extension() == ".h5";
  const auto command = is_h5 ? Hdf5Reader(file).text("", "command") : std::nullopt;
  return command ? fmt::format("{}, itself made by `{}`", file, *command) : file;
}

class Study {
 public:
  explicit Study(const Options& o) : o_(o), model_(o.common.load_to_sample()) {
    const Tensor all = read_reference_data(o.data, model_, o.references + *o.sampling.count);
    const std::int64_t used = std::min(o.references, all.dim(0));
    data_ = all.rows(0, used);
    // Other data of the same set: what a perfect sampler would get.
    if (all.dim(0) - used > 1)
      rows_.push_back(
          {"(data)", 0, NAN, NAN, distances_between(all.rows(used, all.dim(0) - used), data_, directions(), seed)});
  }

  void compute() {
    const auto samplers = words_of("--sampler", o_.samplers);
    const auto counts = integer_list("--steps", o_.steps);
    const Progress progress = o_.common.progress("quality");
    std::int64_t done = 0;
    for (const auto& sampler : samplers)
      for (const auto steps : counts) {
        rows_.push_back(measure(sampler, steps));
        report(progress, ++done, static_cast<std::int64_t>(samplers.size() * counts.size()));
      }
  }

  [[nodiscard]] Findings findings() const {
    Findings f{.study = "quality",
               .model = model_.name,
               .summary = {{"sampler", "steps", "evaluations", "sliced Wasserstein", "energy", "mean", "covariance",
                            "s a sample"}},
               .details = {{"sampler", "steps", "evaluations", "sliced_wasserstein", "energy", "mean", "covariance",
                            "seconds_a_sample", "samples", "references"}},
               .panels = panels()};
    for (const auto& r : rows_) {
      std::vector<std::string> cells{r.sampler,
                                     r.steps > 0 ? std::to_string(r.steps) : "-",
                                     cell(r.evaluations, "{:.0f}"),
                                     cell(r.found.sliced_wasserstein, "{:.4f}"),
                                     cell(r.found.energy, "{:.5f}"),
                                     cell(r.found.mean, "{:.4f}"),
                                     cell(r.found.covariance, "{:.3f}"),
                                     cell(r.seconds, "{:.3f}")};
      f.summary.rows.push_back(cells);
      cells.push_back(std::to_string(*o_.sampling.count));
      cells.push_back(std::to_string(data_.dim(0)));
      f.details.rows.push_back(cells);
    }
    f.verdict = fmt::format("{} samples of each against {} of {}; (data): other data of the set", *o_.sampling.count,
                            data_.dim(0), origin(o_.data));
    return f;
  }

 private:
  static constexpr std::uint64_t seed = 1;  // of the directions
  [[nodiscard]] int directions() const { return static_cast<int>(o_.directions); }

  Row measure(const std::string& name, std::int64_t steps) const {
    SamplingOptions options = o_.sampling;
    options.sampler = name;
    options.steps = steps;
    const Run run(options, o_.common, model_);
    Row row{name, steps};
    Tensors parts;
    const auto start = std::chrono::steady_clock::now();
    const std::int64_t batch = batch_of(run.stepper().batching, run.count(), o_.batch);
    for (std::int64_t first = 0; first < run.count(); first += batch) {
      const std::int64_t rows = std::min(batch, run.count() - first);
      const Conditioned c = make_conditioned(model_, run.condition(first, rows), rows, run.grid());
      Sampler sampler = run.sampler(c, first, rows);
      std::int64_t evaluations = 0;
      count_evaluations(sampler.denoiser, evaluations);
      parts.push_back(sample(sampler, run.x_T(first, rows), c.p));
      row.evaluations = std::max(row.evaluations, static_cast<double>(evaluations));
    }
    row.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
                  static_cast<double>(run.count());
    row.found = distances_between(concat(parts, 0), data_, directions(), seed);
    return row;
  }

  [[nodiscard]] std::vector<Panel> panels() const {
    const std::pair<const char*, double Distances::*> measures[] = {
        {"sliced Wasserstein distance", &Distances::sliced_wasserstein},
        {"energy distance", &Distances::energy},
        {"error of the mean", &Distances::mean},
        {"relative error of the covariance", &Distances::covariance}};
    std::vector<Panel> all;
    for (const auto& [label, member] : measures) {
      Panel p{model_.name, "evaluations", label};
      p.log_y = member != &Distances::energy;  // whose estimate is about 0, and may be below, where two laws are one
      std::map<std::string, Series> lines;
      double most = 0, least = INFINITY;
      for (const auto& r : rows_) {
        if (r.steps == 0) continue;
        Series& line = lines[r.sampler];
        line.label = r.sampler;
        line.x.push_back(r.evaluations), line.y.push_back(r.found.*member);
        most = std::max(most, r.evaluations), least = std::min(least, r.evaluations);
      }
      for (const auto& entry : lines) p.series.push_back(entry.second);
      if (!rows_.empty() && rows_[0].steps == 0) {
        const double floor = rows_[0].found.*member;
        p.series.push_back({"(data)", {least, most}, {floor, floor}, true});
      }
      all.push_back(p);
    }
    return all;
  }

  Options o_;
  Model model_;
  Tensor data_;
  std::vector<Row> rows_;
};

void run_quality(const Options& o) {
  o.common.apply();
  for (const auto& file : o.common.outputs(".svg")) require_plotting(file);
  if (o.data.empty())
    throw UsageError("--data: give data to compare with: an IDX file, an .h5 file or a folder of .png");
  if (o.batch < 1 || o.references < 2 || *o.sampling.count < 2 || o.directions < 1)
    throw UsageError("study quality: wants --batch and --directions of 1, -n and --references of 2 at least");
  Study study(o);
  study.compute();
  deliver(o.common, study.findings());
}

}  // namespace

Command quality_study() {
  return {
      "quality", "samplers and numbers of steps side by side: distance of samples from data, and time",
      "  costate study quality fashion-unet --data t10k-images-idx3-ubyte.gz --out quality.svg --out quality.csv\n"
      "  costate study quality fashion-unet --data t10k-images-idx3-ubyte.gz --sampler ddim,heun --steps 4,8 -n 200",
      [](Arguments& a) {
        const auto o = std::make_shared<Options>();
        o->common.declare(a, study_extensions);
        o->sampling.count = 64;
        a.option("--data", o->data, "data to compare with: IDX images, .h5 with x (n,...), or a folder of .png",
                 "FILE");
        a.option("--sampler", o->samplers, "samplers [ddim,heun,dpmpp-2m,unipc-2,ge]", "LIST");
        a.option("--steps", o->steps, "step counts [5,10,20]", "LIST");
        a.option("--grid", o->sampling.grid, "see `costate list grids` [the model's own]", "NAME");
        a.option("-n,--count", o->sampling.count, "samples of each [64]");
        a.option("--class", o->sampling.classes, "labels a,b,c [all in turn]", "LIST");
        a.option("--guidance", o->sampling.guidance, "w of eps_null + w (eps_class - eps_null) [1]", "W");
        a.option("--references", o->references, "how many data are used [1000]");
        a.option("--directions", o->directions, "random directions of the sliced Wasserstein distance [200]");
        a.option("--batch", o->batch, "samples computed at once [16]");
        return [o] { run_quality(*o); };
      }};
}

}  // namespace costate
