// From a MODEL to the files it is made of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config.h"

namespace costate {

struct ModelFiles {
  std::filesystem::path weights;  ///< empty for an exact problem
  Config config;                  ///< of the network, or of the exact problem
  Config scheduler;               ///< diffusers scheduler_config.json, or empty
};

/// Finds the files; throws with what was looked for and, for a misspelt bundled name, the nearest.
ModelFiles find_model_files(const std::string& name, const std::filesystem::path& config);

/// A number that is another as soon as a size or a time of change is: of the file, or of all that a model is read from (its folder,
/// and what lies beside its weights).
std::uint64_t state_of_files(const std::string& name, bool is_model);

/// Folders that hold bundled models, in the order they are searched.
std::vector<std::filesystem::path> model_folders();

}  // namespace costate
