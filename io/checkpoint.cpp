// One face for every file of tensors: the kind from the first bytes, then a list of entries that read themselves.
#include "io/checkpoint.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "io/averages.h"
#include "io/element.h"
#include "io/hdf5.h"
#include "io/mapped_file.h"
#include "io/safetensors.h"
#include "io/shadow_params.h"
#include "io/shard_index.h"
#include "io/torch_file.h"
#include "io/torch_rebuild.h"
#include "io/torch_select.h"

namespace costate {
namespace {

enum class FileKind : std::uint8_t { hdf5, safetensors, torch, index, unknown };

// What an unknown file probably is, for the error.
std::string guess(std::string_view head) {
  if (head.empty()) return "it is empty";
  if (head.starts_with("version https://git-lfs"))
    return "it is a Git LFS pointer: fetch the real file with 'git lfs pull'";
  if (head.find("<html") != std::string_view::npos || head.starts_with("<!"))
    return "it is a web page: the download failed";
  if (head.starts_with("\x93NUMPY")) return "it is a NumPy array without names";
  return "its first bytes are none of HDF5, safetensors or PyTorch";
}

FileKind kind_of(std::string_view head) {
  constexpr std::string_view hdf5 = "\x89HDF\r\n\x1a\n";
  if (head.starts_with(hdf5)) return FileKind::hdf5;
  for (std::size_t at = 512; at + 8 <= head.size(); at *= 2)  // behind a user block
    if (head.substr(at, 8) == hdf5) return FileKind::hdf5;
  if (head.starts_with("PK\x03\x04")) return FileKind::torch;
  // a header length and '{'; before pickles, as a length may begin with their first bytes
  if (head.size() > 8 && head[8] == '{' && head[7] == '\0') return FileKind::safetensors;
  if (head.size() > 1 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) return FileKind::torch;
  if (is_json_text(head)) return FileKind::index;
  return head.size() > 8 && head[8] == '{' ? FileKind::safetensors : FileKind::unknown;
}

using Entries = std::vector<CheckpointEntry>;

Entries entries_of(const std::shared_ptr<const Safetensors>& file) {
  Entries all;
  for (const auto& e : file->entries()) {
    const std::string& name = e.name;
    all.push_back({name, [file, name] { return file->find(name)->shape; }, [file, name] { return file->element(name); },
                   [file, name] { return file->view(name); }});
  }
  return all;
}

Entries entries_of(const std::shared_ptr<const Hdf5Reader>& file) {
  Entries all;
  for (const auto& name : file->datasets()) {
    std::string key = name;
    std::replace(key.begin(), key.end(), '/', '.');
    all.push_back({key, [file, name] { return file->shape(name); }, [file, name] { return file->element(name); },
                   [file, name] { return file->view(name); }});
  }
  return all;
}

Entries entries_of(const std::shared_ptr<const TorchFile>& file, bool skip_optimisers, const std::string& where) {
  Entries all;
  for (const auto& [key, tensor] : list_tensors(file->root(), skip_optimisers, where)) {
    const auto of = [where, name = key] { return fmt::format("{}: tensor '{}'", where, printable(name)); };
    all.push_back({key, [of, t = tensor, file] { return checked_shape(t->dims, of()); },
                   [t = tensor, file] { return t->storage.element; },
                   [t = tensor, name = key, file] { return file->view(*t, printable(name)); }});
  }
  return all;
}

// Is this costate's own file? (A foreign `format` attribute of another kind is not an error.)
bool written_by_costate(const Hdf5Reader& file) {
  try {
    return file.text("", "format") == "costate model";
  } catch (const Error&) {
    return false;
  }
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& n : names) text += (text.empty() ? "'" : ", '") + n + "'";
  return text;
}

// The group to select in an HDF5 file, and the note about it. Groups may be dictionaries or the network's own modules:
// only names that modules do not have are taken for dictionaries.
std::pair<std::string, std::string> hdf5_prefix(const Hdf5Reader& file) {
  if (written_by_costate(file)) return {"weights", "tensors of 'weights': the file is costate's own"};
  std::map<std::string, std::size_t> groups;  // at the top, with their datasets
  std::size_t own = 0;
  for (const auto& name : file.datasets())
    name.find('/') == std::string::npos ? ++own : ++groups[name.substr(0, name.find('/'))];
  std::vector<std::string> names;
  for (const auto& [name, count] : groups) names.push_back(name);
  auto dictionaries = averages_among(names);
  dictionaries.insert(dictionaries.end(), {"state_dict", "model_state_dict", "model_weights"});
  for (const auto& name : dictionaries) {
    if (!groups.contains(name) || groups[name] <= own) continue;
    std::vector<std::string> others;
    for (const auto& other : names)
      if (other != name) others.push_back(printable(other));
    return {name, fmt::format("tensors of '{}': it comes first of the names that checkpoints use{}", name,
                              others.empty() ? "" : "; the file also has " + list_of(others))};
  }
  return {"", "all tensors of the file"};
}

// The dotted prefix to select in a PyTorch file, and the note about it.
std::pair<std::string, std::string> torch_prefix(const TorchFile& file, const std::string& where) {
  const Selection s = select_weights(file.root(), where);
  require(s.found, "{}: holds no dictionary of tensors", where);
  std::string note = s.path.empty() ? "all tensors of the file" : fmt::format("tensors of '{}'", printable(s.path));
  note += ": " + s.reason;
  if (!s.others.empty()) note += fmt::format("; the file also has {}", list_of(s.others));
  return {s.path, note};
}

}  // namespace

// Keeps what lies below the dotted `prefix` and takes the prefix off.
void Checkpoint::select(Entries all, const std::string& prefix) {
  for (auto& e : all) {
    if (!prefix.empty()) {
      if (!e.key.starts_with(prefix) || e.key.size() <= prefix.size() || e.key[prefix.size()] != '.') continue;
      e.key.erase(0, prefix.size() + 1);
    }
    entries_.push_back(std::move(e));
  }
  require(!entries_.empty(), "checkpoint '{}': holds no tensors{}", path_.string(),
          prefix.empty() ? "" : fmt::format(" below '{}'", prefix));
  sorted_.resize(entries_.size());
  std::iota(sorted_.begin(), sorted_.end(), std::size_t{0});
  std::sort(sorted_.begin(), sorted_.end(),
            [&](std::size_t a, std::size_t b) { return entries_[a].key < entries_[b].key; });
  const auto twice = std::adjacent_find(
      sorted_.begin(), sorted_.end(), [&](std::size_t a, std::size_t b) { return entries_[a].key == entries_[b].key; });
  require(twice == sorted_.end(), "checkpoint '{}': the key '{}' occurs twice", path_.string(),
          twice == sorted_.end() ? "" : printable(entries_[*twice].key));
}

Checkpoint Checkpoint::open(const std::filesystem::path& path, const std::string& key) {
  Checkpoint c;
  c.path_ = path;
  const std::string where = fmt::format("checkpoint '{}'", path.string());
  FileKind kind = FileKind::unknown;
  {
    const MappedFile file(path);
    kind = kind_of(file.bytes());
    require(kind != FileKind::unknown, "{}: is not a checkpoint costate knows: {}", where,
            guess(file.bytes().substr(0, 512)));
  }
  c.note_ = key.empty() ? "all tensors of the file" : fmt::format("tensors of '{}', as asked for", key);
  if (kind == FileKind::safetensors)
    c.take_safetensors(key);
  else if (kind == FileKind::index)
    c.take_shards(key);
  else if (kind == FileKind::hdf5)
    c.take_hdf5(key);
  else
    c.take_torch(key, where);
  return c;
}

void Checkpoint::take_safetensors(const std::string& key) {
  format_ = "safetensors";
  const auto file = std::make_shared<const Safetensors>(Safetensors::open(path_));
  text_ = [file](const std::string& name) -> std::optional<std::string> {
    const auto it = file->metadata().find(name);
    return it == file->metadata().end() ? std::nullopt : std::optional(it->second);
  };
  select(entries_of(file), key);
}

// Of every shard the tensors that the index says, whatever kind of file it is.
void Checkpoint::take_shards(const std::string& key) {
  Entries all;
  for (const auto& [name, wanted] : read_shard_index(path_)) {
    const auto file = path_.parent_path() / name;
    require(!is_json_text(MappedFile(file).bytes()), "checkpoint '{}': shard '{}' is an index itself", path_.string(),
            name);
    const Checkpoint shard = open(file);
    if (format_.empty()) format_ = shard.format_, text_ = shard.text_;
    for (const auto& tensor : wanted) {
      const CheckpointEntry* entry = shard.find(tensor);
      require(entry != nullptr, "checkpoint '{}': tensor '{}' is not in the shard it names, '{}'", path_.string(),
              printable(tensor), name);
      all.push_back(*entry);
    }
  }
  select(std::move(all), key);
}

void Checkpoint::take_hdf5(const std::string& key) {
  format_ = "hdf5";
  const auto file = std::make_shared<const Hdf5Reader>(path_);
  text_ = [file](const std::string& name) { return file->text("", name); };
  integer_ = [file](const std::string& name) { return file->integer("", name); };
  own_ = written_by_costate(*file);
  std::string prefix = key;
  if (key.empty()) std::tie(prefix, note_) = hdf5_prefix(*file);
  select(entries_of(file), prefix);
}

void Checkpoint::take_torch(const std::string& key, const std::string& where) {
  const auto file = std::make_shared<const TorchFile>(TorchFile::open(path_));
  format_ = file->format();
  std::string prefix = key;
  if (key.empty()) std::tie(prefix, note_) = torch_prefix(*file, where);
  const Entries all = entries_of(file, key.empty(), where);
  select(all, prefix);
  if (key.empty()) note_ += use_shadow_params(all, entries_);
}

std::vector<std::string> Checkpoint::keys() const {
  std::vector<std::string> all;
  for (const auto& e : entries_) all.push_back(e.key);
  return all;
}

const CheckpointEntry* Checkpoint::find(std::string_view key) const {
  const auto it = std::lower_bound(sorted_.begin(), sorted_.end(), key,
                                   [&](std::size_t i, std::string_view k) { return entries_[i].key < k; });
  return it != sorted_.end() && entries_[*it].key == key ? &entries_[*it] : nullptr;
}

const CheckpointEntry& Checkpoint::at(std::string_view key) const {
  const auto* e = find(key);
  require(e != nullptr, "checkpoint '{}': has no tensor '{}' (of {}; the first is '{}')", path_.string(), key,
          entries_.size(), entries_.empty() ? "" : printable(entries_.front().key));
  return *e;
}

bool Checkpoint::contains(std::string_view key) const { return find(key) != nullptr; }
Shape Checkpoint::shape(std::string_view key) const { return at(key).shape(); }
DType Checkpoint::dtype(std::string_view key) const { return dtype_of(at(key).element(), where(key)); }
ElementView Checkpoint::view(std::string_view key) const { return at(key).view(); }
Tensor Checkpoint::read(std::string_view key) const { return read_elements(at(key).view(), where(key)); }

std::string Checkpoint::where(std::string_view key) const {
  return fmt::format("{} '{}': tensor '{}'", format_, path_.string(), printable(key));
}

std::optional<std::string> Checkpoint::text(const std::string& name) const {
  return text_ ? text_(name) : std::nullopt;
}

std::optional<std::int64_t> Checkpoint::integer(const std::string& name) const {
  return integer_ ? integer_(name) : std::nullopt;
}

}  // namespace costate
