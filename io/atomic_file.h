// Outputs that are there whole or not at all: write under a temporary name, sync, rename.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace costate {

/// Owns a temporary file beside `final` (same directory, so the rename is atomic; unique per process and object).
/// The constructor creates it empty and throws Error where that cannot be: no such directory, no permission, `final` is
/// a directory or a device. A symbolic link is followed: its target is replaced, not the link.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& final);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();  ///< removes the temporary unless committed

  [[nodiscard]] const std::filesystem::path& final() const { return final_; }
  [[nodiscard]] const std::filesystem::path& temporary() const { return temporary_; }
  /// Syncs the temporary to disk and renames it to `final`. Close it before: data still buffered elsewhere is lost.
  void commit();

 private:
  std::filesystem::path final_;
  std::filesystem::path temporary_;  // empty once committed
};

/// Removes the temporaries that this process has on disk: what the handler of a signal that ends it may call.
void remove_temporaries() noexcept;

/// A stream of bytes into an AtomicFile. Every short write (full disk, quota, size limit) is an Error that names
/// `final`.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& final);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  void write(const void* bytes, std::size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  void commit();

 private:
  AtomicFile file_;
  int descriptor_ = -1;
};

/// Replaces the file at `path` by `bytes`, atomically.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// The whole file. Error when it is missing, unreadable, a directory, or longer than `max_bytes`.
std::string read_text(const std::filesystem::path& path, std::size_t max_bytes = std::size_t{64} << 20);

}  // namespace costate
