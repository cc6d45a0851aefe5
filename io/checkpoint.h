// Any file of named tensors behind one face: safetensors, PyTorch (zip, legacy), HDF5, and indices of shards that are any of them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "io/element.h"

namespace costate {

/// One tensor of a checkpoint, read when asked for.
struct CheckpointEntry {
  std::string key;
  std::function<Shape()> shape;
  std::function<Element()> element;
  std::function<ElementView()> view;
};

/// The kind of file is found from its first bytes, never from its name.
///
/// Which tensors: everything below `key` if that is given ("ema", "model.0", "weights"; dictionaries, lists, groups and
/// dotted prefixes alike), and else
///   1. the root, if it holds tensors itself and no dictionary named in 2 holds more;
///   2. the first of these that leads to tensors with names, by the same rule inside it:
///      ema_model, ema, model_ema, ema_state_dict, params_ema, any other with the word ema, state_dict,
///      model_state_dict, model, params, net;
///      Averages that lie beside it as a list without names (score_sde's ema.shadow_params) take its names, in order;
///   3. the dictionary with the most tensors, the first of equals; optimiser states never count.
/// HDF5's groups are dictionaries, too, and `weights` is the one in costate's own files. safetensors has none: all of it.
/// note() says what was chosen, and what else could be asked for by `key`.
///
/// Keys: names of nested dictionaries and HDF5 groups are joined by '.'; nothing is stripped ("module." stays).
class Checkpoint {
 public:
  /// Error: unreadable or damaged file, unknown kind, no tensors, nothing below `key`, a key that occurs twice, a shard that lacks
  /// a tensor its index promises.
  static Checkpoint open(const std::filesystem::path& path, const std::string& key = "");

  /// In the order of the file (PyTorch) or sorted (safetensors, HDF5).
  [[nodiscard]] std::vector<std::string> keys() const;
  [[nodiscard]] bool contains(std::string_view key) const;
  [[nodiscard]] Shape shape(std::string_view key) const;
  [[nodiscard]] DType dtype(std::string_view key) const;  ///< of what read() gives
  [[nodiscard]] Tensor read(std::string_view key) const;
  /// As it lies in the file, bit for bit: what read() converts. Mapped files are not copied.
  [[nodiscard]] ElementView view(std::string_view key) const;
  /// What the file says of itself by this name: root attributes of HDF5, the metadata of safetensors.
  [[nodiscard]] std::optional<std::string> text(const std::string& name) const;
  /// The same as a whole number; of HDF5 only.
  [[nodiscard]] std::optional<std::int64_t> integer(const std::string& name) const;
  /// Is it a model that costate wrote as HDF5?
  [[nodiscard]] bool is_own() const { return own_; }

  [[nodiscard]] const std::string& format() const {
    return format_;
  }  ///< "safetensors", "pytorch zip", "pytorch legacy", "hdf5"
  [[nodiscard]] const std::string& note() const { return note_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  [[nodiscard]] const CheckpointEntry* find(std::string_view key) const;
  [[nodiscard]] std::string where(std::string_view key) const;
  [[nodiscard]] const CheckpointEntry& at(std::string_view key) const;
  void take_safetensors(const std::string& key);
  void take_shards(const std::string& key);
  void take_hdf5(const std::string& key);
  void take_torch(const std::string& key, const std::string& where);
  void select(std::vector<CheckpointEntry> all, const std::string& prefix);

  std::filesystem::path path_;
  std::string format_, note_;
  bool own_ = false;
  std::function<std::optional<std::string>(const std::string&)> text_;
  std::function<std::optional<std::int64_t>(const std::string&)> integer_;
  std::vector<CheckpointEntry> entries_;
  std::vector<std::size_t> sorted_;  // entries by key, for look-ups
};

}  // namespace costate
