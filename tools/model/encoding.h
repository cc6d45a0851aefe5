// From data to the noise that a course of sampling takes back to it. The command and the C interface both encode here.
#pragma once

#include <optional>

#include "solvers/encode.h"
#include "tools/model/course.h"
#include "tools/model/latent.h"

namespace costate {

/// What is found for samples x_0 (n, ...); undefined where there is none.
struct Encoding {
  Tensor x_T;
  Tensor noise;                  ///< (draws, n, ...), in the order in which recorded noise is read
  Tensor memory;                 ///< (m, n, ...), the State's of a reversible sampler
  Tensor back;                   ///< x_0 after the way back
  std::int64_t evaluations = 0;  ///< of encoding alone
};

/// "posterior" or "independent"; throws for other names.
Way way_from(const std::string& name);

/// Encodes x_0, and goes back. `sampler` is the course's, with the samples' conditions and noise; of samplers that draw some and
/// have no inverse, `way` says how the states between are made.
Encoding encoding_of(const Course& course, Sampler sampler, const Tensor& x_0, const Tensors& p, Way way,
                     const Progress& progress = {});

/// The z that a network with an encoder of its own finds in x_0 (n, ...); undefined for all others.
Tensor z_found_in(const Model& model, const Tensor& x_0);

/// x (n, ...) as samples of the model: pixels of a latent pipeline as latents. Throws for what has another shape or is not finite.
Tensor as_samples(const Model& model, const std::optional<LatentSpace>& space, const Tensor& x);

}  // namespace costate
