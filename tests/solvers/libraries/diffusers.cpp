// diffusers: its schedulers read from the configuration that the library was given, states in x or, for those taken from
// k-diffusion and EDM, in x / alpha.
#include <nlohmann/json.hpp>

#include "tests/solvers/libraries/library.h"
#include "tools/model/scheduler.h"

namespace costate {
namespace {

/// The library as it is, but for the cases in which its DDIM was made to step to the next level of its grid.
Replay replay(const FixtureCase& c) {
  auto config = nlohmann::json::parse(c.settings.dump());
  const bool on_grid = config.value("next_on_grid", false);
  for (const char* key : {"steps", "next_on_grid"}) config.erase(key);
  const auto schedule_keys = nlohmann::json::parse(c.schedule.dump());
  if (!schedule_keys.contains("type")) config.update(schedule_keys);
  config["_class_name"] = c.sampler;
  const Scheduler scheduler = read_scheduler(Config(config, c.name), !on_grid);
  BOOST_TEST((scheduler.prediction == c.denoiser.prediction), c.name);
  const auto schedule = schedule_from(scheduler.schedule);
  const SchedulerPlan plan = scheduler.plan(*schedule, static_cast<int>(c.settings.integer("steps", 0)));
  Sampler sampler{.denoiser = c.denoiser,
                  .grid = plan.grid,
                  .stepper = make_stepper(plan.sampler, plan.options),
                  .noise = c.noise(),
                  .schedule = schedule,
                  .targets = plan.targets,
                  .repeats = plan.repeats};
  sampler.denoiser.correct = scheduler.correct;
  sampler.denoiser.eps_follows = scheduler.eps_follows;
  sampler.denoiser.sigma_data = scheduler.sigma_data;
  return states_of(c, sampler);
}

}  // namespace

Library diffusers_library() { return {.files = "diffusers-", .replay = replay}; }

}  // namespace costate
