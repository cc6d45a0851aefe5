// Paths of this build and of the shared inputs.
#include "tests/support/paths.h"

#include <cstdlib>

namespace costate {

std::filesystem::path source_dir() {
  const char* given = std::getenv("COSTATE_SOURCE");  // of a test that was carried to another machine
  return given != nullptr ? std::filesystem::path(given) : std::filesystem::path(COSTATE_SOURCE_DIR);
}

std::filesystem::path command_path() {
  const char* given = std::getenv("COSTATE_COMMAND");
  return given != nullptr ? given : COSTATE_COMMAND;
}

std::filesystem::path shared_dir() {
  const char* given = std::getenv("COSTATE_SHARED");
  return given != nullptr ? std::filesystem::path(given) : source_dir().parent_path() / "shared";
}

}  // namespace costate
