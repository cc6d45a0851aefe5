// How samples of a model are made: what is asked for, and for the rest what its diffusers scheduler or its files say. The command
// and the C interface both decide here, so that a model samples the same from either.
#pragma once

#include <string>

#include "solvers/correct.h"
#include "solvers/sampler.h"
#include "tools/model/conditioned.h"

namespace costate {

struct CourseOptions {
  std::string sampler = {};  ///< empty: the scheduler's, or ddim
  std::string grid = {};     ///< as grid_of takes it; empty: the scheduler's, or the model's own
  int steps = 1;
  Config options = {};          ///< of the sampler; where none is asked for, they are what diffusers takes in its calls
  std::string correct = {};     ///< as correction_from takes it; empty: the scheduler's, or none
  std::string noise = "fresh";  ///< or tree: see brownian_tree.h
  bool encodes = false;         ///< a scheduler that goes from data to noise will do
};

/// A Sampler but for what it denoises with.
struct Course {
  Grid grid;
  Stepper stepper;
  Correction correct = nullptr;
  bool eps_follows = true;  ///< see Denoiser
  Noise (*noise)(std::uint64_t seed, std::uint64_t first_sample) = fresh_noise;
  Grid targets = {};             ///< see Sampler
  bool repeats = false;          ///< see Sampler
  Grid told = {}, reached = {};  ///< see SchedulerPlan

  [[nodiscard]] Sampler sampler(const Model& model, const Conditioned& c, Noise noise) const;
  /// Samples that a gradient goes there and back with at a time (0: all of x_T): one where each has steps of its own, all where they
  /// are coupled, else as many as the network likes, but all of them for one in the weights.
  [[nodiscard]] std::int64_t rows_of_gradient(const Conditioned& all, const Tensor& x_T, bool weights) const;
};

/// Throws for names, options and grids that are none.
Course make_course(const Model& model, const CourseOptions& asked);

/// The model with the part of its network that samples are made with, where it has several.
Model denoising_part(Model model);

}  // namespace costate
