// PNDMScheduler: PLMS after a step of Heun's or three pseudo Runge-Kutta steps.
#include "tools/model/index_scheduler.h"

namespace costate {
namespace {

using namespace diffusers;

SchedulerPlan plan_of(const Config& c, bool compat, const Schedule& schedule, int steps) {
  SchedulerPlan plan = index_plan(c, schedule, steps, c.flag("set_alpha_to_one", false), compat);
  if (!plan.targets.empty())
    c.unsupported("timestep_spacing", "with --compat: leading, or trailing where the steps divide num_train_timesteps");
  const bool plms = c.flag("skip_prk_steps", false);
  const int ratio = train_steps(c) / steps;
  if (compat && !plms)
    require(
        steps >= 4 && ratio % 2 == 0,
        "{}: skip_prk_steps = false with --compat wants 4 steps or more, and an even number of indices a step, not {}",
        c.where(), ratio);
  plan.sampler = steps == 1 ? "ddim" : plms ? "plms" : "pndm";
  if (steps == 1) return plan;
  // diffusers combines the outputs of a v network at several levels before it makes eps of them.
  nlohmann::json options;
  options["values"] = compat && c.text("prediction_type", "epsilon") == "v_prediction" ? "v" : "eps";
  if (plms) options.update({{"starter", "heun"}, {"starter_steps", 1}});
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
