// Zip archives of stored (uncompressed) entries, zip64 included: what PyTorch writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/mapped_file.h"

namespace costate {

class ZipArchive {
 public:
  struct Entry {
    std::string name;
    std::size_t offset = 0;  ///< of the data in the file
    std::size_t size = 0;
    std::uint32_t crc = 0;
    bool readable = true;  ///< stored: neither compressed nor encrypted
  };

  /// Reads the central directory. Error when the end record is missing (truncated file), an entry reaches outside the
  /// file, or two entries share a name. Compressed and encrypted entries are listed, and refused when they are read.
  explicit ZipArchive(std::shared_ptr<const MappedFile> file);

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }  ///< sorted by name
  [[nodiscard]] const Entry* find(std::string_view name) const;                 ///< nullptr when absent
  /// The bytes of an entry, which must be readable; the first read of each compares its CRC and throws Error when it
  /// differs. Thread-safe.
  [[nodiscard]] std::string_view read(const Entry& entry) const;

 private:
  std::shared_ptr<const MappedFile> file_;
  std::vector<Entry> entries_;
  mutable std::mutex mutex_;
  mutable std::set<std::size_t> checked_;  // offsets of entries whose CRC was found right
};

}  // namespace costate
