// A diffusers scheduler's plan, and what was asked for in its place.
#include "tools/model/course.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "autodiff/ops/cast.h"
#include "solvers/brownian_tree.h"
#include "tools/model/grid.h"

namespace costate {

Course make_course(const Model& model, const CourseOptions& asked) {
  const auto options = nlohmann::json::parse(asked.options.dump());
  Course course;
  SchedulerPlan plan;
  if (const Config own = model.scheduler(); !own.keys().empty()) {
    auto all = nlohmann::json::parse(own.dump());
    if (asked.sampler.empty()) all.update(options);  // what diffusers takes in its calls
    const Scheduler scheduler = read_scheduler(Config(all, own.where()), model.compat);
    course.correct = scheduler.correct;
    course.eps_follows = scheduler.eps_follows;
    if (asked.sampler.empty() || asked.grid.empty()) plan = scheduler.plan(*model.schedule, asked.steps);
  }
  if (!asked.correct.empty()) {
    course.correct = correction_from(asked.correct);
    course.eps_follows = true;
  }
  require(!plan.inverse || asked.encodes || !asked.sampler.empty(),
          "scheduler: {} goes from data to noise: costate encode takes it", model.scheduler().text("_class_name", ""));
  const bool planned = !plan.sampler.empty() && asked.sampler.empty();
  const std::string name = planned ? plan.sampler : asked.sampler.empty() ? "ddim" : asked.sampler;
  course.stepper = make_stepper(name, planned ? plan.options : Config(options, "sampler " + name));
  if (asked.noise == "tree") {
    require(course.stepper.eta > 0,
            "noise tree: {} draws no noise; take a stochastic sampler (`costate list samplers`) or an eta above 0, or "
            "leave it out",
            name);
    course.noise = tree_noise;
  } else if (asked.noise != "fresh") {
    fail_unknown("noise", asked.noise, {"fresh", "tree"});
  }
  if (!asked.grid.empty() || plan.grid.empty()) {
    course.grid = grid_of(model, asked.steps, asked.grid);
    return course;
  }
  course.grid = plan.grid;
  course.targets = plan.targets;
  course.repeats = plan.repeats;
  course.told = plan.told;
  course.reached = plan.reached;
  return course;
}

Sampler Course::sampler(const Model& model, const Conditioned& c, Noise noise) const {
  Sampler s{.denoiser = c.denoiser,
            .grid = grid,
            .stepper = stepper,
            .noise = std::move(noise),
            .schedule = model.schedule,
            .p_of_step = c.p_of_step,
            .targets = targets,
            .repeats = repeats};
  s.denoiser.correct = correct;
  s.denoiser.eps_follows = eps_follows;
  return s;
}

std::int64_t Course::rows_of_gradient(const Conditioned& all, const Tensor& x_T, bool weights) const {
  if (stepper.batching != Batching::any) return stepper.batching == Batching::one_by_one ? 1 : 0;
  if (weights || all.rows_at_once == nullptr || x_T.dim(0) == 1) return 0;
  return all.rows_at_once(cast(x_T, all.denoiser.dtype), grid.front());
}

Model denoising_part(Model model) {
  const auto parts = model.is_exact() ? std::vector<std::string>() : model.network->parts();
  if (std::find(parts.begin(), parts.end(), "denoise") != parts.end()) model.network = model.network->part("denoise");
  return model;
}

}  // namespace costate
