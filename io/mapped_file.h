// A file mapped into memory for reading.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace costate {

/// Read-only, private mapping; pages are loaded when touched. The file must not shrink while it is mapped (the
/// operating system would end the process): costate itself replaces files by rename, which is safe.
class MappedFile {
 public:
  /// Error when the file is missing, unreadable or not a regular file. An empty file is an empty mapping.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string_view bytes() const { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::filesystem::path path_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace costate
