// Which of two ways to do a thing was the faster, measured once and kept in a file: `--conv auto`.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace costate::cuda::cudnn {

using Work = std::function<void()>;

/// Microseconds of one call.
using Timer = std::function<double(const Work&)>;

/// A text file, a line a choice: what (with the device and the library's version), who won, the microseconds of both. Whatever it
/// cannot read is as if it were not there, and where it cannot be written, the next process measures again.
class Choices {
 public:
  explicit Choices(std::filesystem::path file) : file_(std::move(file)) {}

  /// Whether `theirs` is the faster way to do `what`, which has neither tab nor line break in it.
  bool theirs(const std::string& what, const Work& own, const Work& theirs, const Timer& time);
  [[nodiscard]] bool knows(const std::string& what);

 private:
  struct Times {
    double own, theirs;
  };
  void read();
  void write() const;

  std::mutex mutex_;
  std::filesystem::path file_;
  bool was_read_ = false;
  std::map<std::string, Times> times_;
};

/// In the user's cache folder.
std::filesystem::path choices_file();

}  // namespace costate::cuda::cudnn
