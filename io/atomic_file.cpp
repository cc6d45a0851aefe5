// Temporary names, write with every error seen, fsync, rename.
#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace costate {
namespace {

namespace fs = std::filesystem;

std::string reason(int error) { return std::strerror(error); }

// The file that will be replaced: behind a symbolic link its target, so that the link itself survives.
fs::path resolve(const fs::path& path) {
  std::error_code code;
  fs::path target = path;
  for (int hops = 0; hops < 40 && fs::is_symlink(target, code); ++hops)  // as many as the kernel follows
    target = target.parent_path() / fs::read_symlink(target, code);      // what is absolute replaces the folder
  return target;
}

// 0666 under the umask, or what the file that is replaced has.
mode_t mode_for(const fs::path& final) {
  struct stat info {};
  return ::stat(final.c_str(), &info) == 0 ? info.st_mode & 0777 : 0666;
}

void sync_directory(const fs::path& directory) {
  const int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // a directory that may be written but not read: the rename still holds
  ::fsync(fd);
  ::close(fd);
}

/// The temporaries that are there, for remove_temporaries: in a fixed place, as a handler can wait for no lock. What finds no room
/// is not removed by it.
struct Listed {
  std::atomic<const char*> path{nullptr};
  pid_t owner = 0;  // a child that was forked off has the list, but not the files
};
Listed listed[16];

void enlist(const char* path) {
  for (Listed& l : listed) {
    const char* none = nullptr;
    if (l.path.load() != nullptr) continue;
    l.owner = ::getpid();
    if (l.path.compare_exchange_strong(none, path)) return;
  }
}

void strike(const char* path) {
  for (Listed& l : listed) {
    const char* own = path;
    if (l.path.compare_exchange_strong(own, nullptr)) return;
  }
}

}  // namespace

void remove_temporaries() noexcept {
  for (const Listed& l : listed)
    if (const char* path = l.path.load(); path != nullptr && l.owner == ::getpid()) ::unlink(path);
}

AtomicFile::AtomicFile(const fs::path& final) : final_(resolve(final)) {
  require(final_.has_filename(), "output '{}': is not a file name", final.string());
  std::error_code code;
  const auto status = fs::status(final_, code);
  require(!fs::is_directory(status), "output '{}': is a directory; name a file in it", final.string());
  require(!fs::exists(status) || fs::is_regular_file(status), "output '{}': is not a regular file; name a file on disk",
          final.string());
  static std::atomic<unsigned> serial{0};
  const mode_t mode = mode_for(final_);
  const fs::path temporary =
      final_.parent_path() /
      fmt::format(".{}.{}-{}.tmp", final_.filename().string().substr(0, 200), ::getpid(), serial++);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  require(fd >= 0, "output '{}': cannot create a file in '{}': {}", final.string(),
          final_.has_parent_path() ? final_.parent_path().string() : ".", reason(errno));
  if (mode != 0666) ::fchmod(fd, mode);
  ::close(fd);
  temporary_ = temporary;
  enlist(temporary_.c_str());
}

AtomicFile::~AtomicFile() {
  if (temporary_.empty()) return;
  strike(temporary_.c_str());
  ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
  require(!temporary_.empty(), "output '{}': committed twice", final_.string());
  const int fd = ::open(temporary_.c_str(), O_RDONLY | O_CLOEXEC);
  require(fd >= 0, "output '{}': the temporary file is gone: {}", final_.string(), reason(errno));
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  // EINVAL: a file system without fsync; there is nothing better to do there.
  require(failed == 0 || failed == EINVAL, "output '{}': writing to disk failed: {}", final_.string(), reason(failed));
  require(::rename(temporary_.c_str(), final_.c_str()) == 0, "output '{}': cannot be replaced: {}", final_.string(),
          reason(errno));
  strike(temporary_.c_str());
  temporary_.clear();
  sync_directory(final_.parent_path());
}

OutputFile::OutputFile(const fs::path& final) : file_(final) {
  descriptor_ = ::open(file_.temporary().c_str(), O_WRONLY | O_CLOEXEC);
  require(descriptor_ >= 0, "output '{}': {}", final.string(), reason(errno));
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(const void* bytes, std::size_t count) {
  require(descriptor_ >= 0, "output '{}': written to after commit", file_.final().string());
  const char* p = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t n = ::write(descriptor_, p, std::min(count, std::size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    require(n > 0, "output '{}': writing failed: {}; nothing was kept", file_.final().string(),
            n < 0 ? reason(errno) : "no space");
    p += n;
    count -= static_cast<std::size_t>(n);
  }
}

void OutputFile::commit() {
  const int failed =
      ::close(std::exchange(descriptor_, -1)) == 0 ? 0 : errno;  // some file systems report a full disk here
  require(failed == 0, "output '{}': writing failed: {}; nothing was kept", file_.final().string(), reason(failed));
  file_.commit();
}

void write_file(const fs::path& path, std::string_view bytes) {
  OutputFile file(path);
  file.write(bytes);
  file.commit();
}

std::string read_text(const fs::path& path, std::size_t max_bytes) {
  std::error_code code;
  require(!fs::is_directory(path, code), "'{}': is a directory, not a file", path.string());
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  require(in.good(), "'{}': cannot be opened: {}", path.string(), errno != 0 ? reason(errno) : "unknown reason");
  std::string text;
  char block[1 << 16];
  while (in.read(block, sizeof block) || in.gcount() > 0) {  // by blocks: pipes and devices have no size to ask for
    text.append(block, static_cast<std::size_t>(in.gcount()));
    require(text.size() <= max_bytes, "'{}': is longer than {} bytes; is it the right file?", path.string(), max_bytes);
  }
  require(!in.bad(), "'{}': reading failed", path.string());
  return text;
}

}  // namespace costate
