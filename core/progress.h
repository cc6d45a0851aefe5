// Progress of long work, as a callback: the library itself prints nothing.
#pragma once

#include <cstdint>
#include <functional>

namespace costate {

/// Called after each unit of work with (done, total). Throwing from it stops the work.
using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

inline void report(const Progress& progress, std::int64_t done, std::int64_t total) {
  if (progress) progress(done, total);
}

}  // namespace costate
