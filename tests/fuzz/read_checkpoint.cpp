// Reading bytes as a checkpoint, through one anonymous file that is written again for each input.
#include <sys/mman.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "tests/fuzz/target.h"

namespace costate::fuzz {
namespace {

/// The path of a file in memory that holds `bytes`.
std::string file_with(std::string_view bytes) {
  static const int fd = ::memfd_create("fuzz", 0);
  require(fd >= 0 && ::ftruncate(fd, 0) == 0, "fuzz: no file in memory");
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::pwrite(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    require(n > 0, "fuzz: the file in memory cannot be written");
    at += static_cast<std::size_t>(n);
  }
  return "/proc/self/fd/" + std::to_string(fd);
}

}  // namespace

int read_checkpoint(std::string_view bytes) {
  return attempt([&] {
    const auto file = Checkpoint::open(file_with(bytes));
    for (const auto& key : file.keys()) attempt([&] { static_cast<void>(file.read(key)); });
    static_cast<void>(file.text("config"));
  });
}

}  // namespace costate::fuzz
