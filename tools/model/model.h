// Loading a MODEL - a bundled name, a diffusers folder, a checkpoint, a costate file or an exact problem - ready to be used.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "nn/network.h"
#include "solvers/denoiser.h"
#include "solvers/exact.h"
#include "solvers/grid.h"
#include "solvers/schedule.h"
#include "tools/model/scheduler.h"
#include "tools/model/value_range.h"

namespace costate {

struct LoadOptions {
  DType dtype = DType::f32;              ///< what the network computes in
  Device device = Device::cpu;           ///< and where
  std::filesystem::path config = {};     ///< configuration, where the model does not bring its own
  std::filesystem::path scheduler = {};  ///< a diffusers scheduler_config.json instead of the model's own schedule
  bool compat = false;                   ///< follow the scheduler's library where it departs from the right formula
  std::string key = {};                  ///< which dictionary of a nested checkpoint
  bool weights = true;  ///< false: shapes alone, for what is known without evaluating (see core/kernel.h, DryRun)
};

/// A network (or exact problem) with its schedule and what its files said.
struct Model {
  std::string name;            ///< as asked for
  std::filesystem::path file;  ///< where the weights came from
  std::string format;          ///< "safetensors", "pytorch zip", "hdf5 (costate)" ..., "json" for exact problems
  std::string family, reason;  ///< and why it was taken for one
  std::string key;             ///< which dictionary of the file was asked for
  std::string note;            ///< what was chosen inside the file, if there was a choice
  /// {"family", the network's own keys ..., "prediction", "schedule": {...}, "sampling": {...}, "scheduler": {...}}: what
  /// costate's own file holds.
  Config config;

  std::shared_ptr<const Network> network;  ///< null for an exact problem
  ExactProblem exact;                      ///< used where network is null
  std::vector<std::string> keys;           ///< of the parameters, as in the file
  std::vector<Shape> file_shapes;          ///< of the parameters, as in the file

  SchedulePtr schedule;
  Prediction prediction = Prediction::epsilon;
  DType dtype = DType::f32;
  Device device = Device::cpu;  ///< where the parameters lie; inputs go there when they are read
  [[nodiscard]] Kind kind() const { return {dtype, device}; }
  // From "sampling":
  std::string grid;  ///< default grid name
  FinalLevel end = FinalLevel::zero;
  int offset = 0;           ///< steps_offset of a discrete schedule
  double prior_mean = 0;    ///< x_T = prior_mean + prior_std * noise
  double time_scale = 1;    ///< the network is told this times the schedule's t,
  double time_offset = 0;   ///< and this added to it
  bool unit_input = false;  ///< the network is given x / sqrt(alpha^2 + sigma^2)
  double sigma_data = 0.5;  ///< see Denoiser
  ValueRange range;         ///< of the data, for pictures

  bool compat = false;  ///< as asked for
  /// A diffusers scheduler's configuration, where it says how to sample; empty: `sampling` does.
  [[nodiscard]] Config scheduler() const { return config.object("scheduler"); }
  [[nodiscard]] bool is_exact() const { return network == nullptr; }
  /// One sample's shape: (h, w, c), or (d) for an exact problem.
  [[nodiscard]] Shape sample_shape() const;
};

/// Throws Error, naming file, key and remedy, for anything that is wrong with the files.
Model load_model(const std::string& name, const LoadOptions& options = {});

/// The same exact problem on another schedule, with the prediction and the grid that this one wants where the problem names none.
Model with_schedule(Model problem, const Config& schedule);

/// Names that load_model finds without a path: fashion-unet ...
std::vector<std::string> bundled_models();

/// Writes the model as one file: .h5 (weights, configuration, schedule) or .safetensors (weights; configuration as metadata).
/// Tensors are written as they lay in the file they came from, bit for bit; those whose values are no longer what was read (`network`
/// is another `with` values: trained, averaged) as they are now.
void save_model(const Model& model, const std::filesystem::path& file);

/// The library's version, "0.1.0".
std::string version();

}  // namespace costate
