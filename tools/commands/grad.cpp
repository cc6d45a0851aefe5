// costate grad: the gradient of a loss of the sampled x_0, by one adjoint or by several side by side.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/sum.h"
#include "core/kernels/memory.h"
#include "core/spec.h"
#include "io/atomic_file.h"
#include "io/png.h"
#include "solvers/norm.h"
#include "tools/adjoint_options.h"
#include "tools/gradients_file.h"
#include "tools/losses.h"
#include "tools/model/latent.h"
#include "tools/result.h"
#include "tools/sampling.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  AdjointOptions adjoint;
  std::string wrt = "x_T,z,theta", loss, classifier;
};

struct Asked {
  bool x_T = false, z = false, theta = false;
};

Asked parse_wrt(const std::string& text) {
  Asked a;
  for (const auto& word : words_of("--wrt", text)) {
    if (word == "x_T" || word == "x")
      a.x_T = true;
    else if (word == "z")
      a.z = true;
    else if (word == "theta")
      a.theta = true;
    else
      throw UsageError("--wrt " + word + ": there are x_T, z and theta");
  }
  if (!a.x_T && !a.z && !a.theta) throw UsageError("--wrt: the list is empty");
  return a;
}

struct Entry {
  std::string adjoint;
  Gradient gradient;
  Tensors theta;  // total gradient in the weights
  double seconds = 0;
  std::int64_t peak = 0;
};

/// All that one run of `grad` is about.
class Job {
 public:
  explicit Job(const Options& o)
      : o_(o), asked_(parse_wrt(o.wrt)), model_(o.common.load_to_sample()), run_(o.sampling, o.common, model_) {
    adjoints_ = o.adjoint.make();
    adjoint_grid_ = o.adjoint.levels(o.sampling, model_);
    condition_ = run_.condition(0, run_.count());
    conditioned_ = make_conditioned(model_, condition_, run_.count(), run_.grid());
    if (asked_.z && !asked_.x_T && !asked_.theta && conditioned_.first_theta == 0)
      throw UsageError("--wrt z: " + model_.name + " has no condition z; take x_T or theta");
    const Tensor w = run_.from_start("w");
    has_w_ = w.defined();
    space_ = latent_space(model_);
    if (!o.loss.empty() || !has_w_) {
      loss_ = make_loss(o.loss.empty() ? "norm" : o.loss, model_, run_.sample_shape(), o.common, o.classifier);
    } else {
      loss_ = weighed(w, o.sampling.start);
      if (space_ && w.dim(-1) != space_->gain.dim(0)) loss_ = of_pixels(loss_, *space_);
    }
    for (const auto& file : o.common.outputs(".png")) require_images(model_, file);
  }

  void compute() {
    if (adjoints_.size() > 1) warm_up();
    for (const Adjoint& adjoint : adjoints_) entries_.push_back(one(adjoint));
  }

  void write() const {
    const Entry& e = entries_.front();
    for (const auto& file : o_.common.outputs(".h5")) write_h5(file, e);
    for (const auto& file : o_.common.outputs(".safetensors")) write_theta_gradients(file, o_.common, model_, e.theta);
    for (const auto& file : o_.common.outputs(".png")) {
      require(e.gradient.x_T.defined(), "{}: the picture shows the x_T gradient; add x_T to --wrt", file);
      write_png(file, picture(e));
    }
    for (const auto& file : o_.common.outputs(".json")) write_file(file, report_json().dump(2) + "\n");
  }

  [[nodiscard]] nlohmann::ordered_json report_json() const {
    nlohmann::ordered_json j{{"model", model_.name},
                             {"sampler", run_.stepper().name},
                             {"steps", run_.grid().size() - 1},
                             {"samples", run_.count()},
                             {"dtype", o_.common.dtype},
                             {"device", o_.common.device},
                             {"seed", o_.common.seed},
                             {"out", o_.common.out}};
    for (const auto& e : entries_) {
      nlohmann::ordered_json row{{"adjoint", e.adjoint},    {"loss", e.gradient.loss}, {"nfe", e.gradient.nfe},
                                 {"vjps", e.gradient.vjps}, {"seconds", e.seconds},    {"peak_bytes", e.peak}};
      for (const auto& [name, error] : errors(e)) row["relative_error"][name] = error;
      if (!e.gradient.warning.empty()) row["warning"] = e.gradient.warning;
      j["adjoints"].push_back(row);
    }
    return j;
  }

  /// Why gradients may be off: a reason once, with the first adjoint that it holds for, the others by name.
  void warn() const {
    std::vector<std::pair<std::string, std::string>> said;  // what follows the adjoint's name, and the line
    for (const auto& e : entries_) {
      const std::string& text = e.gradient.warning;
      if (text.empty()) continue;
      const std::string reason = text.substr(text.find(':'));
      const auto known = std::find_if(said.begin(), said.end(), [&](const auto& s) { return s.first == reason; });
      if (known == said.end())
        said.emplace_back(reason, "warning: " + text);
      else
        known->second += "; this holds for " + e.adjoint + " too";
    }
    for (const auto& [reason, line] : said)
      if (!o_.common.quiet) std::cerr << line << "\n";
  }

  [[nodiscard]] std::string report_text() const {
    std::string text = fmt::format("{}: gradient of {} through {} steps of {}, {} sample{}\n", model_.name,
                                   o_.loss.empty() ? (has_w_ ? "<w, x_0>" : "norm") : o_.loss, run_.grid().size() - 1,
                                   run_.stepper().name, run_.count(), run_.count() == 1 ? "" : "s");
    std::vector<std::vector<std::string>> rows{{"adjoint"}};
    for (const auto& [name, error] : errors(entries_.front())) rows[0].push_back("error " + name);
    for (const char* head : {"evaluations", "VJPs", "seconds", "peak"}) rows[0].emplace_back(head);
    for (const auto& e : entries_) {
      std::vector<std::string> row{e.adjoint};
      for (const auto& [name, error] : errors(e)) row.push_back(error == 0 ? "0" : fmt::format("{:.1e}", error));
      row.insert(row.end(), {std::to_string(e.gradient.nfe), std::to_string(e.gradient.vjps),
                             fmt::format("{:.2f}", e.seconds), format_bytes(e.peak)});
      rows.push_back(row);
    }
    text += text_table(rows);
    if (rows[0].size() > 5)
      text += fmt::format(
          "error: |g - g_{0}| / |g_{0}|, 2-norm; seconds: after one evaluation and its VJP, which lay out the "
          "weights\n",
          reference()->adjoint);
    return text;
  }

 private:
  [[nodiscard]] GradientProblem problem() const {
    GradientProblem all = run_.problem(condition_, conditioned_, asked_.theta);
    all.wrt_x_T = asked_.x_T;
    all.wrt_p = conditioned_.wanted(asked_.z || asked_.theta, asked_.theta);
    all.loss = loss_;
    return all;
  }

  /// One step there and back: the first adjoint of a table is not charged for the layouts of weights that all use.
  void warm_up() const {
    const auto one_step = [](Sampler sampler) {
      sampler.grid.resize(2);
      sampler.targets.clear();
      sampler.stepper = make_stepper("euler");
      return sampler;
    };
    GradientProblem short_one = problem();
    short_one.sampler = one_step(short_one.sampler);
    short_one.groups.sampler = [=, own = short_one.groups.sampler](std::int64_t first, std::int64_t rows) {
      return one_step(own(first, rows));
    };
    static_cast<void>(make_adjoint("checkpointed").gradient(short_one));
  }

  Entry one(const Adjoint& adjoint) const {
    const bool alone = adjoints_.size() == 1;  // among several, the levels are for those that take them
    GradientProblem whole = problem();
    whole.progress = o_.common.progress(adjoint.name);
    if (alone || has_own_levels(adjoint)) whole.adjoint_grid = adjoint_grid_;
    const std::int64_t before = memory_use(model_.device).live;
    reset_peak(model_.device);
    const auto start = std::chrono::steady_clock::now();
    Entry e{adjoint.name, adjoint.gradient(whole), {}, 0, 0};
    e.theta = asked_.theta ? total_theta_gradient(model_, condition_, conditioned_, e.gradient.p) : Tensors();
    finish_kernel.always(model_.device);
    e.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    e.peak = memory_use(model_.device).peak - before;
    if (e.gradient.x_T.defined()) require_finite(e.gradient.x_T, adjoint.name + ", gradient in x_T");
    return e;
  }

  /// `direct` if it is among them, else the first; nothing to compare with if there is one only.
  [[nodiscard]] const Entry* reference() const {
    if (entries_.size() < 2) return nullptr;
    const auto it =
        std::find_if(entries_.begin(), entries_.end(), [](const Entry& e) { return e.adjoint == "direct"; });
    return it == entries_.end() ? entries_.data() : &*it;
  }

  [[nodiscard]] std::vector<std::pair<std::string, double>> errors(const Entry& e) const {
    std::vector<std::pair<std::string, double>> all;
    const Entry* r = reference();
    if (r == nullptr) return all;
    const auto first = static_cast<std::ptrdiff_t>(conditioned_.first_theta);
    const auto z = [&](const Entry& x) { return Tensors(x.gradient.p.begin(), x.gradient.p.begin() + first); };
    if (asked_.x_T) all.emplace_back("x_T", relative_distance({e.gradient.x_T}, {r->gradient.x_T}));
    if (asked_.z && first > 0) all.emplace_back("z", relative_distance(z(e), z(*r)));
    if (asked_.theta && !e.theta.empty()) all.emplace_back("theta", relative_distance(e.theta, r->theta));
    return all;
  }

  void write_h5(const std::string& file, const Entry& e) const {
    Hdf5Writer out = result_file(file, o_.common);
    out.write("x_0", e.gradient.x_0);
    if (space_) out.write("pixels", space_->decode(e.gradient.x_0));
    out.write("loss", Tensor::from({e.gradient.loss}, {}));
    if (asked_.x_T) out.write("g_x_T", e.gradient.x_T);
    if (asked_.z) {
      for (std::size_t i = 0; i < conditioned_.first_theta; ++i)
        if (e.gradient.p[i].defined()) out.write("g_" + conditioned_.names[i], e.gradient.p[i]);
    }
    if (asked_.theta) write_theta_gradients(out, model_, e.theta);
    out.attribute("", "adjoint", e.adjoint);
    out.attribute("", "sampler", run_.stepper().name);
    out.attribute("", "nfe", e.gradient.nfe);
    out.attribute("", "vjps", e.gradient.vjps);
    out.attribute("", "seconds", e.seconds);
    out.attribute("", "peak_bytes", e.peak);
    out.finish();
  }

  /// Two rows: the samples, and below each its gradient (blue: less noise there raises the loss; red: more does).
  [[nodiscard]] Tensor picture(const Entry& e) const {
    const Tensor samples = to_rgb(to_picture(e.gradient.x_0, model_.range)), g = to_signed_colours(e.gradient.x_T);
    const auto width = model_.sample_shape()[1];
    return tile(concat({samples, g}, 0), static_cast<int>(run_.count()), 4,
                static_cast<int>(std::max<std::int64_t>(1, 168 / width)));
  }

  const Options& o_;
  Asked asked_;
  Model model_;
  Run run_;
  std::vector<Adjoint> adjoints_;
  Grid adjoint_grid_;
  Condition condition_;
  Conditioned conditioned_;
  std::optional<LatentSpace> space_;  // of a latent pipeline: losses are of the pixels, unless w weighs latents
  Loss loss_;
  bool has_w_ = false;  // the start file brings the weights of the loss
  std::vector<Entry> entries_;
};

void run_grad(const Options& o) {
  o.common.apply();
  if (!o.common.outputs(".safetensors").empty() && !parse_wrt(o.wrt).theta)
    throw UsageError("--out FILE.safetensors holds the gradients in the weights: add theta to --wrt");
  check_loss_classifier(o.loss, o.classifier);
  Job job(o);
  job.compute();
  job.write();
  if (o.common.json) {
    std::cout << job.report_json().dump(2) << "\n";
    return;
  }
  std::cout << job.report_text();
  job.warn();
  for (const auto& file : o.common.out) std::cout << "wrote " << file << "\n";
}

}  // namespace

Command grad_command() {
  return {"grad", "gradients of a loss of the samples in the noise x_T, the condition z and the weights theta",
          "  costate grad fashion-unet -n 4 --class 0,7,8,9 --guidance 1.5 --steps 20 --out gradient.png\n"
          "  costate grad fashion-unet -n 1 --class 9 --adjoint checkpointed,direct,adjointdeis-1\n"
          "  costate grad fashion-unet -n 1 --class 3 --wrt x_T,z --loss mean --out gradient.h5 --json",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a, {".h5", ".safetensors", ".png", ".json"});
            o->sampling.declare(a, 1, 20);
            o->adjoint.declare(a, true);
            a.option(
                "--wrt", o->wrt,
                "gradients in x_T, z, theta [all]; that in theta is total: it counts the label table that z comes from",
                "LIST");
            a.option("--loss", o->loss, std::string(loss_names) + " [<w, x_0> with w from --start, else norm]", "NAME");
            a.option("--loss-classifier", o->classifier,
                     "the MODEL that --loss class and features ask [fashion-classifier]", "MODEL");
            return [o] { run_grad(*o); };
          }};
}

}  // namespace costate
