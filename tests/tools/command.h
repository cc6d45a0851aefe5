// Running the costate command as a user would, in a folder of its own.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "tests/support/paths.h"

namespace costate::test {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;  ///< exit code; 128 + n if signal n ended it
  std::string out, err;
};

/// An empty folder that is removed again.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "costate-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  [[nodiscard]] fs::path operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path_)) names.push_back(entry.path().filename().string());
    return names;
  }

 private:
  fs::path path_;
};

inline std::string slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void spill(const fs::path& file, const std::string& bytes) { std::ofstream(file, std::ios::binary) << bytes; }

/// costate ARGUMENTS...; `file_limit` bounds the size of every file it writes, as a full disk would.
inline Outcome run(const std::vector<std::string>& arguments, std::size_t file_limit = 0,
                   const fs::path& program = command_path()) {
  const Folder folder;
  const std::string out = (folder / "out").string(), err = (folder / "err").string();
  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen(out.c_str(), "w", stdout) == nullptr || std::freopen(err.c_str(), "w", stderr) == nullptr)
      _exit(127);
    if (file_limit > 0) {
      const rlimit limit{file_limit, file_limit};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(out), slurp(err)};
}

/// Largest |a - b|; NaN where the shapes differ, which no bound allows.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape())) return std::numeric_limits<double>::quiet_NaN();
  const auto u = a.to_vector(), v = b.to_vector();
  double worst = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    const double off = std::abs(u[i] - v[i]);
    if (!(off <= worst)) worst = off;
  }
  return worst;
}

}  // namespace costate::test
