// PyTorch checkpoints: the zip format of torch >= 1.6 and the legacy stream before it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "io/mapped_file.h"
#include "io/torch_pickle.h"
#include "io/zip.h"

namespace costate {

class TorchFile {
 public:
  /// Maps the file and reads its pickles; tensors are read when asked for. Error: not a PyTorch file, damaged, a
  /// TorchScript archive, big endian, or a pickle with a global that is not on the list.
  static TorchFile open(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return file_->path(); }
  [[nodiscard]] std::string format() const { return zip_ ? "pytorch zip" : "pytorch legacy"; }
  /// The saved object; valid as long as this file or a copy of it lives.
  [[nodiscard]] PickleItem root() const { return pickle_->root; }
  /// The tensor in the mapped file, which the view keeps. `key` names it in errors.
  [[nodiscard]] ElementView view(const PickleTensor& tensor, std::string_view key) const;
  /// A dense tensor, strides undone. Conversions as in io/element.h.
  [[nodiscard]] Tensor read(const PickleTensor& tensor, std::string_view key) const {
    return read_elements(view(tensor, key), where(key));
  }

 private:
  [[nodiscard]] std::string where(std::string_view key) const {
    return fmt::format("PyTorch file '{}': tensor '{}'", path().string(), key);
  }
  void open_zip();
  void open_legacy();
  void read_legacy_storages(const Pickle& keys, std::string_view rest, const std::string& where);
  [[nodiscard]] std::string_view storage_bytes(const PickleStorage& storage, const std::string& where) const;

  std::shared_ptr<const MappedFile> file_;
  std::shared_ptr<const ZipArchive> zip_;  // null for legacy files
  std::shared_ptr<const Pickle> pickle_;
  std::string prefix_;                              // of the zip's entries, "archive/"
  std::map<std::string, std::string_view> legacy_;  // key -> raw bytes
};

}  // namespace costate
