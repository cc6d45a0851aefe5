// Running a command until it has kept something, then killing it.
#pragma once

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <thread>

#include "tests/tools/command.h"

namespace costate::test {

/// Starts words[0] and kills it as soon as `file` is there; fails where that takes a minute, or where the command ends before.
inline void kill_once_kept(std::vector<std::string> words, const fs::path& file, int signal = SIGKILL) {
  std::vector<char*> argv;
  for (auto& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  for (int i = 0; i < 6000 && !fs::exists(file) && waitpid(child, nullptr, WNOHANG) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  BOOST_REQUIRE_MESSAGE(fs::exists(file), file.string() << " was never there");
  kill(child, signal);
  waitpid(child, nullptr, 0);
}

}  // namespace costate::test
