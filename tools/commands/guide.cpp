// costate guide: optimises the start, the condition or the weights of a sampler under a loss of its samples.
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autodiff/ops/concat.h"
#include "io/atomic_file.h"
#include "io/png.h"
#include "tools/adjoint_options.h"
#include "tools/latent_optimisation.h"
#include "tools/losses.h"
#include "tools/result.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  AdjointOptions adjoint;
  std::string wrt = "x_T", loss, classifier, optimiser = "adam", resume;
  std::int64_t iterations = 30, shown = 6;
  double rate = 0.05, momentum = 0;
};

/// A command without the options that a run may go on with others of.
std::string what_counts(const std::string& command) {
  return without_options(command, "iterations|rate|momentum|adjoint[a-z-]*|pictures|out|resume|threads");
}

/// A z that is optimised is one that the network is told.
SamplingOptions sampling_of(const Options& o, const Free& free) {
  SamplingOptions sampling = o.sampling;
  sampling.unconditional = !free.z;
  return sampling;
}

/// One run of `guide`.
class Guide {
 public:
  explicit Guide(const Options& o)
      : o_(o),
        free_(free_from(o.wrt)),
        model_(o.common.load_to_sample()),
        space_(latent_space(model_)),
        run_(sampling_of(o, free_), o.common, model_) {
    if (o.loss.empty()) throw UsageError(std::string("--loss: give one of ") + loss_names);
    if (o.shown < 1) throw UsageError(fmt::format("--pictures {}: give at least one", o.shown));
    if (!free_.theta && !o.common.outputs(".safetensors").empty())
      throw UsageError("--out FILE.safetensors holds the model with its new weights: add theta to --wrt");
    if (o.iterations < 1) throw UsageError(fmt::format("--iterations {}: give at least one", o.iterations));
    if (!(o.rate > 0)) throw UsageError(fmt::format("--rate {}: should be positive", o.rate));
    if (!(o.momentum >= 0 && o.momentum < 1))
      throw UsageError(fmt::format("--momentum {}: should be at least 0 and below 1", o.momentum));
    const auto adjoints = o.adjoint.make();
    if (adjoints.size() != 1) throw UsageError("--adjoint: guide takes one");
    for (const auto& file : o.common.outputs(".png"))
      if (!space_) require_images(model_, file);
    const auto steps = static_cast<std::int64_t>(run_.grid().size()) - 1;
    Condition condition = run_.condition(0, run_.count());
    if (free_.z_scheduled) condition = scheduled(model_, condition, run_.count(), steps);
    const Conditioned c = make_conditioned(model_, condition, run_.count(), run_.grid());
    tell(condition, c);
    first_theta_ = c.first_theta;
    const Optimiser optimiser{
        .kind = as_usage([&] { return optimiser_from(o.optimiser); }), .rate = o.rate, .momentum = o.momentum};
    if (optimiser.kind == Optimiser::Kind::adam && o.momentum > 0)
      throw UsageError(fmt::format("--momentum {}: is of --optimiser sgd; adam has moments of its own", o.momentum));
    GradientProblem problem = run_.problem(condition, c, free_.theta);
    problem.loss = make_loss(o.loss, model_, run_.sample_shape(), o.common, o.classifier);
    problem.adjoint_grid = o.adjoint.levels(o.sampling, model_);
    work_ = std::make_unique<LatentOptimisation>(problem, c, free_, adjoints[0], optimiser);
    if (!o.resume.empty()) restore();
  }

  void compute() {
    const Progress progress = o_.common.progress("guide, loss of step");
    const std::int64_t every = std::max<std::int64_t>(1, o_.iterations / std::max<std::int64_t>(1, o_.shown - 1));
    for (std::int64_t i = 0; i < o_.iterations; ++i) {
      const Gradient g = work_->gradient();
      require(std::isfinite(g.loss), "guide: the loss is not finite after {} steps; lower --rate", i);
      if (warning_.empty()) warning_ = g.warning;
      if (i % every == 0) {
        path_.push_back(g.x_0);
        if (i > 0) keep(g.x_0, g.loss);
        if (!o_.common.quiet && !o_.common.json) fmt::print("{:5}  loss {:.6g}\n", work_->losses().size(), g.loss);
      }
      work_->descend(g);
      report(progress, i + 1, o_.iterations);
    }
    const auto [x_0, loss] = work_->look();
    keep(x_0, loss);
    path_.push_back(x_0);
    loss_ = loss;
  }

  void write() const {
    for (const auto& file : o_.common.outputs(".png")) {
      const Tensor path = concat(path_, 0), pixels = space_ ? space_->decode(path) : path;
      const auto width = pixels.dim(2);
      write_png(file, tile(to_picture(pixels, space_ ? space_->range : model_.range), static_cast<int>(run_.count()), 2,
                           static_cast<int>(std::max<std::int64_t>(1, 84 / width))));
    }
    for (const auto& file : o_.common.outputs(".safetensors")) {
      Model tuned = model_;
      const auto& p = work_->p();
      tuned.network = model_.network->with(Tensors(p.begin() + static_cast<std::ptrdiff_t>(first_theta_), p.end()));
      save_model(tuned, file);
    }
    for (const auto& file : o_.common.outputs(".json")) write_file(file, report_json().dump(2) + "\n");
    if (o_.common.json) {
      std::cout << report_json().dump(2) << "\n";
      return;
    }
    fmt::print("{:5}  loss {:.6g}\n", work_->losses().size(), loss_);
    if (!warning_.empty() && !o_.common.quiet) std::cerr << "warning: " << warning_ << "\n";
    for (const auto& file : o_.common.out) std::cout << "wrote " << file << "\n";
    if (o_.common.out.empty()) std::cout << "nothing was written; add --out path.png or --out found.h5\n";
  }

 private:
  /// What --resume goes on from, with x_0 and the loss of the present values: written along the way as well, for a run that is stopped.
  void keep(const Tensor& x_0, double loss) const {
    for (const auto& file : o_.common.outputs(".h5")) {
      Hdf5Writer out = result_file(file, o_.common);
      out.write("x_0", x_0);
      if (space_) out.write("pixels", space_->decode(x_0));
      out.write("x_T", work_->x_T());
      if (classes_.defined()) out.write("class", classes_);
      for (const auto& [i, name] : told_) out.write(name, work_->p()[i]);
      for (const char* name : {"noise", "guidance"})
        if (const Tensor given = run_.from_start(name); given.defined()) out.write(name, given);
      work_->save([&](const std::string& name, const Tensor& value) { out.write(name, value); });
      out.attribute("", "loss", loss);
      out.attribute("", "wrt", o_.wrt);
      out.finish();
    }
  }

  /// Settles what --start is to read with x_T to make x_0 again: a class stands for the rows of z that come from it, unless these
  /// are optimised, and the class "none" for guidance 0 that nobody asked for.
  void tell(const Condition& condition, const Conditioned& c) {
    if (model_.is_exact()) return;
    const Signature s = model_.network->signature();
    const bool rows = condition.classes.defined() && s.z.rank() == 1;  // of the label table
    if (!(rows && free_.z)) classes_ = condition.classes;
    if (classes_.defined() && condition.guidance == 0 && !o_.sampling.guidance)
      classes_ = Tensor::full(classes_.shape(), static_cast<double>(s.classes - 1), DType::i32);
    for (std::size_t i = 0; i < c.first_theta; ++i) {
      const bool from_class = c.names[i] == "z" || (c.names[i] == "z_null" && !condition.z_null.defined());
      if (free_.z || !rows || !from_class) told_.emplace_back(i, c.names[i]);
    }
  }

  void restore() {
    const Hdf5Reader file(o_.resume);
    const std::string command = file.text("", "command").value_or("");
    require(command.rfind("costate guide ", 0) == 0, "{}: was not written by guide, which alone --resume goes on from",
            o_.resume);
    require(what_counts(command) == what_counts(command_line()),
            "{}: was written by another command: {}\nrun that one with --resume (others may be {}), or begin anew with "
            "--start {}",
            o_.resume, command, "--iterations, --rate, --momentum, --adjoint and what is written", o_.resume);
    work_->restore([&](const std::string& name) { return file.contains(name) ? file.read(name) : Tensor(); });
  }

  [[nodiscard]] nlohmann::ordered_json report_json() const {
    nlohmann::ordered_json j{{"model", model_.name}, {"loss", loss_},          {"losses", work_->losses()},
                             {"wrt", o_.wrt},        {"seed", o_.common.seed}, {"device", o_.common.device},
                             {"out", o_.common.out}};
    if (!warning_.empty()) j["warning"] = warning_;
    return j;
  }

  const Options& o_;
  Free free_;
  std::size_t first_theta_ = 0;  // among the parameters
  Model model_;
  std::optional<LatentSpace> space_;  // of a latent pipeline: losses and pictures are of the pixels
  Run run_;
  std::unique_ptr<LatentOptimisation> work_;
  Tensor classes_;                                         // written for --start,
  std::vector<std::pair<std::size_t, std::string>> told_;  // and which of the parameters, by their names there
  Tensors path_;
  double loss_ = 0;
  std::string warning_;
};

void run_guide(const Options& o) {
  o.common.apply();
  check_loss_classifier(o.loss, o.classifier);
  Guide guide(o);
  guide.compute();
  guide.write();
}

}  // namespace

Command guide_command() {
  return {"guide", "optimise the noise x_T, the condition z or the weights theta for a low loss of the samples",
          "  costate sample fashion-unet -n 1 --class 9 --seed 5 --steps 10 --out boot.h5\n"
          "  costate guide fashion-unet -n 4 --class 9 --seed 1 --steps 10 --loss image:boot.h5 --out path.png\n"
          "  costate guide fashion-unet -n 4 --seed 2 --loss class:7 --rate 0.03 --out shoes.h5 --out shoes.png",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a, {".h5", ".safetensors", ".png", ".json"});
            o->sampling.unconditional = true;
            o->sampling.declare(a, 1, 10);
            o->adjoint.declare(a, false);
            a.option("--loss", o->loss, loss_names, "NAME");
            a.option("--loss-classifier", o->classifier,
                     "the MODEL that --loss class and features ask [fashion-classifier]", "MODEL");
            a.option("--wrt", o->wrt,
                     "what is optimised: x_T, z, z_t (a z for every step), theta, which --out FILE.safetensors makes a "
                     "model of [x_T]",
                     "LIST");
            a.option("--iterations", o->iterations, "steps of the optimiser [30]");
            a.option("--optimiser", o->optimiser, "adam or sgd [adam]", "NAME");
            a.option(
                "--rate", o->rate,
                "learning rate; a high one ends in pictures that please a classifier alone, so look at them [0.05]");
            a.option("--momentum", o->momentum, "of --optimiser sgd [0]");
            a.option(
                "--resume", o->resume,
                "goes on from the .h5 that the same command wrote, one that was stopped as well; --iterations, --rate, "
                "--momentum and --adjoint may be others",
                "FILE.h5");
            a.option("--pictures", o->shown,
                     "times that the samples are looked at on their way: rows of the .png, losses told, .h5 kept [6]");
            return [o] { run_guide(*o); };
          }};
}

}  // namespace costate
