// fork, limits, a pipe for the reports.
#include "io/hdf5_probe.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "core/parallel.h"
#include "io/hdf5_handle.h"

namespace costate::hdf5 {
namespace {

unsigned seconds_for(std::uint64_t file_size) { return static_cast<unsigned>(10 + file_size / 10'000'000); }

// Quiet, without core files, and stopped when it runs away: damaged sizes make libhdf5 ask for any amount of memory.
void limit_child(std::uint64_t file_size) {
  for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL, SIGALRM, SIGXCPU}) std::signal(s, SIG_DFL);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
  if (const int null = ::open("/dev/null", O_WRONLY); null >= 0) {
    ::dup2(null, 1);
    ::dup2(null, 2);
  }
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  std::uint64_t pages = 0;  // of address space in use: the limit is on top of it
  std::ifstream("/proc/self/statm") >> pages;
  const std::uint64_t bytes =
      pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + (std::uint64_t{1} << 30) + 16 * file_size;
  const rlimit memory{bytes, bytes};
  if (pages > 0) ::setrlimit(RLIMIT_AS, &memory);
  ::alarm(seconds_for(file_size));
}

void send(int pipe, std::uint32_t index, std::string_view message) {
  const std::uint32_t head[2] = {index, static_cast<std::uint32_t>(message.size())};
  std::string bytes(reinterpret_cast<const char*>(head), sizeof head);
  bytes += message;
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::write(pipe, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) ::_exit(1);
    at += static_cast<std::size_t>(n);
  }
}

std::string receive(int pipe) {
  std::string all;
  char block[4096];
  for (;;) {
    const ssize_t n = ::read(pipe, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return all;
    all.append(block, static_cast<std::size_t>(n));
  }
}

std::map<std::uint32_t, std::string> parse(std::string_view bytes) {
  std::map<std::uint32_t, std::string> reports;
  while (bytes.size() >= 8) {
    std::uint32_t head[2];
    std::memcpy(head, bytes.data(), 8);
    reports[head[0]] = bytes.substr(8, head[1]);
    bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 8 + std::size_t{head[1]}));
  }
  return reports;
}

}  // namespace

bool needs_probe(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  char head[9] = {};
  in.read(head, sizeof head);
  return !in.good() || std::memcmp(head, "\x89HDF\r\n\x1a\n", 8) != 0 || head[8] < 3;
}

std::map<std::uint32_t, std::string> probe(const std::function<void(const Report&)>& work, const std::string& where,
                                           std::uint64_t file_size) {
  int ends[2];
  require(::pipe2(ends, O_CLOEXEC) == 0, "{}: cannot be checked: {}", where, std::strerror(errno));
  const pid_t child = ::fork();
  if (child == 0) {
    renew_lock_in_child();
    limit_child(file_size);
    try {
      in_this_thread(
          [&] { work([&](std::uint32_t index, std::string_view message) { send(ends[1], index, message); }); });
    } catch (const std::exception& e) {
      send(ends[1], whole_file, e.what());
    }
    ::_exit(0);  // no destructors, no exit handlers: they belong to the parent
  }
  const int failed = errno;
  ::close(ends[1]);
  const std::string reports = child > 0 ? receive(ends[0]) : "";
  ::close(ends[0]);
  require(child > 0, "{}: cannot be checked in a child process: {}", where, std::strerror(failed));
  int status = 0;
  pid_t done = 0;
  while ((done = ::waitpid(child, &status, 0)) < 0 && errno == EINTR) {
  }
  require(done < 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM,
          "{}: to check it took longer than {} s, so it is not read; is the machine or the disk very busy, or the file "
          "damaged?",
          where, seconds_for(file_size));
  // a host program that ignores SIGCHLD has no status to give; then the reports alone count
  const bool sound = done < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
  require(sound, "{}: is damaged so that libhdf5 fails on it; fetch it again", where);
  return parse(reports);
}

}  // namespace costate::hdf5
