// Steppers: one step of a sampler in the canonical clock. One file of solvers/steppers each, 3 to 25 lines.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "solvers/denoiser.h"
#include "solvers/grid.h"
#include "solvers/noise.h"

namespace costate {

/// All that the next step needs: the canonical state y = x / alpha and what a multistep method remembers.
struct State {
  Tensor y;
  Tensors memory;
};

/// What a step may ask for.
struct Step {
  const Denoiser& denoiser;
  const Tensors& p;  ///< differentiable parameters of the network
  const Grid& grid;
  int index;  ///< the step goes from grid[index] to grid[index + 1]
  const Noise& noise;
  double eta = 0;  ///< share of stochasticity, for the samplers that have one

  [[nodiscard]] const Level& from() const { return grid[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const Level& to() const { return grid[static_cast<std::size_t>(index) + 1]; }
};

struct Stepper {
  std::string name;       ///< as in `--sampler`
  std::string summary;    ///< what it is, in a line
  std::string reference;  ///< paper and equation
  int order = 1;
  int evaluations = 1;      ///< of the network, per step
  bool stochastic = false;  ///< with eta > 0 or always
  std::function<State(const Step& step, const State& state)> advance;
};

/// All steppers, from the files of solvers/steppers.
const std::vector<Stepper>& steppers();
/// By name; an unknown one throws with the nearest.
const Stepper& find_stepper(const std::string& name);

}  // namespace costate
