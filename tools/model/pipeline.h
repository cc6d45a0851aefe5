// The pipeline of parts, in diffusers' layout, that a model is named with.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/model/model.h"

namespace costate {

struct Pipeline {
  std::filesystem::path folder;
  std::string name;                   ///< its class, as model_index.json says; may be empty
  std::vector<std::string> parts;     ///< that model_index.json names
  std::vector<std::string> left_out;  ///< of them, those that are not run: what they would make comes from files
};

/// Nothing where the model is none, or was named by a part, which gives latents.
std::optional<Pipeline> pipeline_of(const Model& model);

/// Is the part there, or should it be?
bool has_part(const Pipeline& pipeline, const std::string& part);

/// Throws for a pipeline that lacks a part that is run here, or does more than denoise what comes from noise, told what files say, and decode it.
void require_samplable(const Pipeline& pipeline, const Model& model);

}  // namespace costate
