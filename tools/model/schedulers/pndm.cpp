// PNDMScheduler: PLMS after a step of Heun's or three pseudo Runge-Kutta steps.
#include "tools/model/index_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

SchedulerPlan plan_of(const Config& c, bool compat, const Schedule& schedule, int steps) {
  SchedulerPlan plan = index_plan(c, schedule, steps, c.flag("set_alpha_to_one", false), compat);
  const bool plms = c.flag("skip_prk_steps", false);
  require(!compat || plms || steps >= 4, "{}: skip_prk_steps = false under compat wants 4 steps or more", c.where());
  plan.sampler = steps == 1 ? "ddim" : plms ? "plms" : "pndm";
  if (steps == 1) return plan;
  nlohmann::json options;
  // diffusers combines the outputs of a v network at several levels before it makes eps of them.
  options["values"] = compat && c.text("prediction_type", "epsilon") == "v_prediction" ? "v" : "eps";
  const bool by_stride = compat && (!plms || !plan.targets.empty());
  if (by_stride) options["stride"] = train_steps(c) / steps;
  if (plms && !by_stride) options.update({{"starter", "heun"}, {"starter_steps", 1}});
  // Steps of its start end on the grid, by whatever way; those of PLMS a stride below.
  for (std::size_t i = 0; i < plan.targets.size() && i < (plms ? 1 : 3); ++i) plan.targets[i] = plan.grid[i + 1];
  plan.options = Config(options, c.where());
  return plan;
}

}  // namespace

SchedulerClass pndm_scheduler() {
  return {.name = "PNDM",
          .keys = beta_keys + spacing_keys + Keys{"skip_prk_steps", "set_alpha_to_one", "prediction_type"},
          .read = [](const Config& c, bool compat) {
            Scheduler s;
            s.schedule = Config(betas(c, "ddpm"), c.where());
            s.prediction = prediction(c, {"epsilon", "v_prediction"});
            s.plan = [=](const Schedule& schedule, int steps) { return plan_of(c, compat, schedule, steps); };
            return s;
          }};
}

}  // namespace costate
