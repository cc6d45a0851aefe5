// The options of subcommands that run a sampler, and the sampler they ask for.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "io/hdf5.h"
#include "solvers/adjoint.h"
#include "tools/common.h"
#include "tools/model/classifier.h"
#include "tools/model/conditioned.h"
#include "tools/model/course.h"

namespace costate {

struct SamplingOptions {
  std::string sampler, grid, classes, start;  ///< empty: the model's own
  std::string noise = "fresh";
  std::int64_t default_steps = 1, default_count = 1;
  std::optional<std::int64_t> steps, count, order;
  std::optional<double> eta, guidance;
  std::vector<std::string> set;  ///< KEY=VALUE
  double guidance_rescale = 0;
  std::string classifier;
  std::optional<double> classifier_scale;
  std::string correct;         ///< NAME:KEY=VALUE, see correct.h; empty: as the model's scheduler says
  bool unconditional = false;  ///< where no condition is given, and the network has a row for "no class", it gets that
  bool encodes = false;        ///< the --start file holds x, to be encoded, in place of x_T
  bool takes_memory = false;   ///< and may hold memory (m,n,...), the State's; others refuse it

  void declare(Arguments& a, std::int64_t count_else, std::int64_t steps_else);
  [[nodiscard]] std::int64_t steps_or_default() const { return steps.value_or(default_steps); }
};

/// Everything about a run that does not depend on the batch.
class Run {
 public:
  Run(const SamplingOptions& options, const Common& common, const Model& model);

  [[nodiscard]] std::int64_t count() const { return count_; }
  /// Of one sample: of --start's where that is given, else the model's own.
  [[nodiscard]] Shape sample_shape() const;
  [[nodiscard]] const Grid& grid() const { return course_.grid; }
  [[nodiscard]] const Course& course() const { return course_; }
  [[nodiscard]] const Stepper& stepper() const { return course_.stepper; }

  /// x_T (rows, ...) f64 of samples first ... first + rows - 1: from --start, or drawn by seed and sample.
  [[nodiscard]] Tensor x_T(std::int64_t first, std::int64_t rows) const;
  /// What a reversible sampler remembers at x_T, from --start.
  [[nodiscard]] Tensors memory(std::int64_t first, std::int64_t rows) const;
  [[nodiscard]] Condition condition(std::int64_t first, std::int64_t rows) const;
  [[nodiscard]] Sampler sampler(const Conditioned& c, std::int64_t first, std::int64_t rows) const;
  /// All samples there and back, in groups where Course::rows_of_gradient says so; the caller says what of. `all` was made of
  /// `condition`; a Run lives as long as its problems.
  [[nodiscard]] GradientProblem problem(const Condition& condition, const Conditioned& all, bool weights) const;
  /// A dataset of the --start file, if there is one of this name.
  [[nodiscard]] Tensor from_start(const std::string& name) const;

 private:
  void read_start();
  void read_condition(const Hdf5Reader& start);
  /// Throws where noise or memory was recorded by another sampler or on other levels than this run's.
  void check_recorded(const Hdf5Reader& start) const;
  /// As many samples as `name` of --start has rows; -n may not say otherwise.
  void count_rows(const std::string& name, std::int64_t rows);
  [[nodiscard]] bool z_is_scheduled() const;
  Tensor rows_of(const std::string& name, const Tensor& t, std::int64_t first, std::int64_t rows) const;
  /// The labels of a network or classifier with so many classes of its own; undefined if it has none and none are given.
  [[nodiscard]] Tensor labels(std::int64_t classes, std::int64_t first, std::int64_t rows) const;

  SamplingOptions options_;
  const Model& model_;
  std::uint64_t seed_;
  std::int64_t count_ = 0;
  Course course_;
  std::optional<Classifier> classifier_;
  Tensor start_x_T_, start_noise_, start_memory_, start_class_, start_z_, start_z_null_, start_guidance_;
  std::map<std::string, Tensor> start_extra_;  ///< further inputs of the network, and NAME_null
};

/// KEY=VALUE pairs as a JSON object; a value that is no JSON is a text. `option` is named by messages.
nlohmann::json key_values(const std::string& option, const std::vector<std::string>& pairs);

}  // namespace costate
