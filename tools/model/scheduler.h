// diffusers' schedulers: a scheduler_config.json as schedule, prediction, correction of x_0, grid and stepper.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/config.h"
#include "solvers/correct.h"
#include "solvers/sampler.h"

namespace costate {

/// N steps of a scheduler.
struct SchedulerPlan {
  Grid grid;
  std::string sampler;
  Config options = {};   ///< of the sampler
  Grid targets = {};     ///< see Sampler::targets
  bool repeats = false;  ///< see Sampler::repeats
  bool inverse = false;  ///< for encode: the grid, noise first as always, is to be walked upwards
  Grid told = {};        ///< on the way up: what the network is told in place of the grid's levels, where that differs
  Grid reached = {};     ///< on the way up: where steps end that do not end on the grid, the last step first
};

struct Scheduler {
  Config schedule;
  Prediction prediction = Prediction::epsilon;
  double sigma_data = 0.5;
  double time_scale = 1;    ///< the network is told this times the level's t
  bool unit_input = false;  ///< the network is given x / sqrt(alpha^2 + sigma^2): levels are of x / alpha
  Correction correct = nullptr;
  bool eps_follows = true;  ///< see Denoiser
  std::function<SchedulerPlan(const Schedule& schedule, int steps)> plan;
};

/// A class of diffusers: one file of tools/model/schedulers each, `SchedulerClass NAME_scheduler()`.
struct SchedulerClass {
  std::string name;               ///< _class_name without "Scheduler"
  std::vector<std::string> keys;  ///< of its configuration; each is read or refused where it says something else
  /// What diffusers takes in a call (eta, s_churn, mu ...): allowed in the file, and what --set, --eta and --order give.
  std::vector<std::string> arguments = {};
  std::function<Scheduler(const Config& config, bool compat)> read;
};
const std::vector<SchedulerClass>& schedulers();

/// Reads a scheduler_config.json. `compat` follows the library where it departs from the right formula. Unknown classes, keys
/// and values throw, naming them; keys that begin with _ are notes.
Scheduler read_scheduler(const Config& config, bool compat);
std::vector<std::string> scheduler_names();

}  // namespace costate
