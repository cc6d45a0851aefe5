// safetensors files: reader over a memory map, and writer. (Several by an index: see shard_index.h.)
//
// Layout: u64 little-endian header length, JSON header, tensors end to end. Everything the header says is checked
// before anything is allocated. Needs core/ and nlohmann/json only; it can be used alone.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "io/element.h"

namespace costate {

class MappedFile;

class Safetensors {
 public:
  struct Entry {
    std::string name;
    std::string dtype;  ///< the format's own name: "F32", "BF16", "F8_E4M3" ...
    Shape shape;
    std::size_t begin = 0, end = 0;  ///< bytes within the data part of the file
  };

  /// Error: file too short, header longer than the file or 100 MB, not JSON, unknown dtype, duplicate name, offsets
  /// that overlap, leave holes or pass the end, size other than shape x width.
  static Safetensors open(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }  ///< sorted by name
  [[nodiscard]] const Entry* find(std::string_view name) const;                 ///< nullptr when absent
  [[nodiscard]] Element element(std::string_view name) const;
  [[nodiscard]] DType dtype(std::string_view name) const;  ///< of what read() gives
  /// The tensor in the mapped file, which the view keeps.
  [[nodiscard]] ElementView view(std::string_view name) const;
  /// F64 F32 BF16 as they are, F16 as f32 (exact), integers and BOOL as i32 with range check; 8-bit floats are refused
  /// by name.
  [[nodiscard]] Tensor read(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  const Entry& at(std::string_view name) const;
  [[nodiscard]] std::string where(const Entry& e) const;

  std::filesystem::path path_;
  std::shared_ptr<const MappedFile> file_;
  std::size_t data_ = 0;  // first byte after the header
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Writes atomically, bit for bit. Wider elements first and then by name, so that every tensor is aligned to its width and
/// the same input gives the same bytes. Error for a name given twice.
void write_safetensors_bits(const std::filesystem::path& path,
                            const std::vector<std::pair<std::string, ElementView>>& entries,
                            const std::map<std::string, std::string>& metadata = {});
/// The same for tensors of costate.
void write_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& entries,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace costate
