// A model and a condition as solvers see them: a Denoiser and the list of differentiable parameters.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "autodiff/tape.h"
#include "solvers/adjoint.h"
#include "tools/model/model.h"

namespace costate {

/// What samples are conditioned on. Leave everything out for an unconditional model.
struct Condition {
  Tensor classes;  ///< (n) i32 labels
  Tensor z;        ///< (n, ...) embedding rows in place of classes, or what the network calls z: tokens of text ...;
                   ///< (steps, n, ...) if scheduled
  bool z_scheduled = false;
  Tensor z_null;  ///< (1, ...) or (n, ...): z without the condition; default: the last row of the label table
  /// Further inputs by the network's names for them, and what some are without the condition; the others stay the same.
  std::map<std::string, Tensor> extra, extra_null;
  /// Classifier-free guidance: eps_null + w (eps_z - eps_null); w = 1 is conditional only and costs one evaluation instead of two.
  double guidance = 1;
  /// Share of the guided prediction that is scaled to the deviation, over a sample's entries, of the conditional one (Lin et
  /// al. 2024, "Common diffusion noise schedules and sample steps are flawed", section 3.4).
  double guidance_rescale = 0;
  std::vector<double>
      guidance_steps;  ///< one w for each level of the grid that is evaluated, if it changes; overrides `guidance`
};

/// The differentiable parameters are, in this order: z and further inputs, the same without the condition ("..._null"), as far as
/// there are any, then the network's (or the exact problem's) own.
struct Conditioned {
  Denoiser denoiser;
  Tensors p;
  std::vector<std::string> names;  ///< of p: "z", "text_embeds" ..., "z_null" ..., then keys as in the file
  std::size_t first_theta = 0;     ///< where the network's own begin
  Wanted differentiable;           ///< false for buffers
  /// For Sampler::p_of_step: with a scheduled z, the step's own in place of all.
  std::function<Tensors(int index, const Tensors& p)> p_of_step = nullptr;
  std::vector<int> axes;  ///< of p: along which the samples lie; -1: they share it
  /// How many of the samples x the network likes at a time, where the caller can choose; null: it has no opinion.
  std::function<std::int64_t(const Tensor& x, const Level& at)> rows_at_once = nullptr;

  /// Flags for gradients in z (and further inputs), in theta, or both.
  [[nodiscard]] Wanted wanted(bool z, bool theta) const;
};

/// `rows` samples; `grid` is needed for guidance_steps only. Labels outside the model's table, a condition the model does not
/// take, or a missing one throw.
Conditioned make_conditioned(const Model& model, const Condition& condition, std::int64_t rows, const Grid& grid = {});

/// What samples first ... first + rows - 1 are conditioned on.
Condition rows_of(const Condition& c, std::int64_t first, std::int64_t rows);

/// Labels (count) i32 of samples first ... first + count - 1: sample i takes list[i % list.size()].
Tensor repeat_labels(const std::vector<std::int64_t>& list, std::int64_t first, std::int64_t count);

/// g_theta plus what flows into the weights through z and z_null, which are rows of the label table (or come from it through a
/// small network): the total derivative. Returns the gradients of the network's own parameters, in order.
Tensors total_theta_gradient(const Model& model, const Condition& condition, const Conditioned& c,
                             const Tensors& gradient_p);

}  // namespace costate
