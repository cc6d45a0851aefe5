// The file of measured choices.
#include "gpu/cudnn/choices.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

namespace costate::cuda::cudnn {
namespace {

// The number goes up when own kernels take another time: what was measured before is measured again.
constexpr const char* heading = "costate: microseconds of its own kernels and of cuDNN's, 3";
constexpr std::uintmax_t most_bytes = 16 << 20;

}  // namespace

void Choices::read() {
  std::error_code none;
  const std::uintmax_t bytes = std::filesystem::file_size(file_, none);
  if (none || bytes > most_bytes) return;
  std::ifstream in(file_);
  std::string line;
  if (!std::getline(in, line) || line != heading) return;  // another program's, or another version's
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string what;
    Times t{};
    const bool whole = std::getline(fields, what, '\t') && fields >> t.own >> t.theirs && fields.peek() == EOF;
    if (whole && std::isfinite(t.own) && std::isfinite(t.theirs) && t.own > 0 && t.theirs > 0) times_.emplace(what, t);
  }
}

/// Renamed into place: who reads meanwhile sees the old file or the new one.
void Choices::write() const {
  std::error_code none;
  std::filesystem::create_directories(file_.parent_path(), none);
  const std::filesystem::path fresh = file_.string() + fmt::format(".{}", getpid());
  {
    std::ofstream out(fresh);
    out << heading << "\n";
    for (const auto& [what, t] : times_) out << fmt::format("{}\t{:.2f}\t{:.2f}\n", what, t.own, t.theirs);
    if (!out.flush()) return static_cast<void>(std::filesystem::remove(fresh, none));
  }
  std::filesystem::rename(fresh, file_, none);
  if (none) std::filesystem::remove(fresh, none);
}

bool Choices::knows(const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (!was_read_) read(), was_read_ = true;
  return times_.count(what) > 0;
}

bool Choices::theirs(const std::string& what, const Work& own, const Work& theirs, const Timer& time) {
  if (!knows(what)) {
    const Times measured{time(own), time(theirs)};
    const std::lock_guard lock(mutex_);
    read();  // what other processes have found meanwhile; what is known here stays
    times_.emplace(what, measured);
    write();
  }
  const std::lock_guard lock(mutex_);
  const Times& t = times_.at(what);
  return t.theirs < t.own;
}

std::filesystem::path choices_file() {
  const auto said = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  const std::string cache = said("XDG_CACHE_HOME"), home = said("HOME");
  const std::filesystem::path folder = !cache.empty()  ? std::filesystem::path(cache)
                                       : !home.empty() ? std::filesystem::path(home) / ".cache"
                                                       : std::filesystem::temp_directory_path();
  return folder / "costate" / "convolutions";
}

}  // namespace costate::cuda::cudnn
