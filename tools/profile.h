// The table of `costate eval --profile`.
#pragma once

#include <string>

#include "core/device.h"
#include "core/profile.h"

namespace costate {

/// Time, rate and share of this machine's peak by kind of work, for one of `runs` runs that took `seconds` together.
std::string profile_table(const Profile& profile, std::int64_t runs, double seconds, Device device);

}  // namespace costate
