// Where the tests find things: this checkout, its data, the command, and the shared inputs that are not part of it.
#pragma once

#include <filesystem>

namespace costate {

/// The root of the checkout, or $COSTATE_SOURCE.
std::filesystem::path source_dir();
/// The `costate` program of this build.
std::filesystem::path command_path();
/// $COSTATE_SHARED, or shared/ beside the checkout; it need not exist.
std::filesystem::path shared_dir();

}  // namespace costate
