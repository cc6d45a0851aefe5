// Trajectories of published samplers (shared/fixtures/samplers) and how each library's cases are run here.
//
// A file of this folder is a library: `Library NAME_library()` says which files it answers for and turns a case into
// the states that costate finds. tests/solvers/test_libraries.cpp runs them all.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/hdf5.h"
#include "tests/solvers/problems.h"

namespace costate {

/// One case of a file: the attributes and datasets that the fixtures' README lists.
struct FixtureCase {
  const Hdf5Reader& file;
  std::string stem;             ///< of the file's name: k-diffusion-heun
  std::string name;             ///< of the group: karras-churn-mixture-n10
  std::string sampler;          ///< class or function of the library
  Config schedule, settings;    ///< as passed to the library
  bool y_coordinates = false;   ///< states are x / alpha
  bool grid_consistent = true;  ///< diffusers: every step's target is the next level of the grid
  std::int64_t nfe = 0;
  Grid grid;  ///< the library's levels; flow matching starts at alpha = 0
  ExactProblem problem;
  Denoiser denoiser;  ///< the exact one, in the prediction that the library asked its network for

  [[nodiscard]] bool has(const std::string& dataset) const { return file.contains(name + "/" + dataset); }
  [[nodiscard]] Tensor read(const std::string& dataset) const { return file.read(name + "/" + dataset); }
  [[nodiscard]] Noise noise() const { return has("noise") ? recorded_noise(read("noise")) : no_noise(); }
};

/// What costate finds for a case.
struct Replay {
  std::vector<Tensor> x = {};               ///< compared with the states `x` of the case, in its coordinates
  std::map<std::string, Tensor> also = {};  ///< compared with the datasets of these names
  std::string not_run = {};                 ///< why a case is left out; such a list should be empty, or argued
};

/// A file of tests/solvers/libraries.
struct Library {
  std::string files;  ///< beginning of the names of its files: "k-diffusion-"
  std::function<Replay(const FixtureCase&)> replay;
};
const std::vector<Library>& libraries();

/// The case's denoiser, grid and noise with a stepper; `options` as JSON.
Sampler sampler_of(const FixtureCase& c, const std::string& stepper, const std::string& options = "{}");
/// The case's noise where the library drew once in every step, used or not: step k takes the k-th.
Noise noise_by_step(const FixtureCase& c);
/// Every state of the sampler, in the coordinates of the case, from its x_T.
Replay states_of(const FixtureCase& c, const Sampler& sampler);

/// The same of a sampler that chooses its own steps from the first level to the last: its states are those that the
/// network is shown at the case's levels.
Replay states_of_adaptive(const FixtureCase& c, Sampler sampler);

}  // namespace costate
