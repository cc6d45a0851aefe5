// The two containers PyTorch has used, both read through the restricted unpickler.
#include "io/torch_file.h"

#include <algorithm>
#include <cstring>

#include "io/torch_rebuild.h"

namespace costate {
namespace {

// The number that begins every legacy file, as a pickle holds it: ten bytes, little endian.
constexpr std::string_view legacy_magic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::int64_t legacy_protocol = 1001;

}  // namespace

TorchFile TorchFile::open(const std::filesystem::path& path) {
  TorchFile f;
  f.file_ = std::make_shared<const MappedFile>(path);
  if (f.file_->bytes().starts_with("PK"))
    f.open_zip();
  else
    f.open_legacy();
  return f;
}

void TorchFile::open_zip() {
  const std::string where = fmt::format("PyTorch file '{}'", path().string());
  zip_ = std::make_shared<const ZipArchive>(file_);
  constexpr std::string_view pickle_name = "/data.pkl";
  const ZipArchive::Entry* data = nullptr;
  for (const auto& e : zip_->entries()) {
    if (e.name.ends_with(pickle_name) && e.name.find('/') == e.name.size() - pickle_name.size()) data = &e;
  }
  require(data != nullptr, "{}: is a zip archive, but not one of PyTorch (it has no data.pkl)", where);
  prefix_ = data->name.substr(0, data->name.size() - pickle_name.size() + 1);
  require(zip_->find(prefix_ + "constants.pkl") == nullptr,
          "{}: is a TorchScript program; costate runs no code from checkpoints. Save its state_dict instead", where);
  if (const auto* order = zip_->find(prefix_ + "byteorder"))
    require(zip_->read(*order) == "little", "{}: was written on a big-endian machine", where);
  pickle_ = std::make_shared<const Pickle>(unpickle(zip_->read(*data), where));
}

// magic number, protocol, system, object, storage keys: five pickles; then per storage its element count (i64) and its
// bytes.
void TorchFile::open_legacy() {
  const std::string where = fmt::format("PyTorch file '{}'", path().string());
  std::string_view rest = file_->bytes();
  const auto next = [&] {
    Pickle p = unpickle(rest, where);
    rest.remove_prefix(p.length);
    return p;
  };
  require(rest.size() > 16 && rest.substr(0, 32).find(legacy_magic) != std::string_view::npos,
          "{}: is not a PyTorch checkpoint (a plain pickle, or an older format?); save its state_dict with torch.save",
          where);
  next();
  const Pickle protocol = next();
  const auto* version = protocol.root->as<std::int64_t>();
  require(version != nullptr && *version == legacy_protocol, "{}: has an unknown legacy protocol", where);
  const Pickle system = next();
  const PickleItem order = find_item(system.root, "little_endian");
  const bool* little = order == nullptr ? nullptr : order->as<bool>();
  require(little == nullptr || *little, "{}: was written on a big-endian machine", where);
  pickle_ = std::make_shared<const Pickle>(next());
  const Pickle keys = next();
  read_legacy_storages(keys, rest, where);
}

void TorchFile::read_legacy_storages(const Pickle& keys, std::string_view rest, const std::string& where) {
  std::map<std::string, std::size_t> widths;  // bytes per element; the stream itself does not say
  for (const auto& v : pickle_->values) {
    if (const auto* s = v.as<PickleStorage>()) {
      // complex and quantised data cannot be read, but have to be stepped over
      const std::size_t width = s->width;
      const auto [it, fresh] = widths.emplace(s->key, width);
      require(fresh || it->second == width, "{}: storage '{}' has two element types", where, printable(s->key));
    }
  }
  const auto* list = keys.root->as<PickleList>();
  require(list != nullptr, "{}: the list of storages is damaged", where);
  for (const PickleItem item : list->items) {
    const auto* key = item->as<PickleText>();
    const auto width = key == nullptr ? widths.end() : widths.find(key->text);
    require(width != widths.end(), "{}: the list of storages names one that no tensor has", where);
    std::uint64_t count = 0;
    require(rest.size() >= sizeof count, "{}: ends before its last storage; the file is truncated, fetch it again",
            where);
    std::memcpy(&count, rest.data(), sizeof count);
    rest.remove_prefix(sizeof count);
    require(count <= rest.size() / width->second, "{}: ends inside a storage; the file is truncated, fetch it again",
            where);
    legacy_[key->text] = rest.substr(0, count * width->second);
    rest.remove_prefix(count * width->second);
  }
}

std::string_view TorchFile::storage_bytes(const PickleStorage& storage, const std::string& where) const {
  if (zip_) {
    const auto* entry = zip_->find(prefix_ + "data/" + storage.key);
    require(entry != nullptr, "{}: its storage '{}' is not in the file", where, printable(storage.key));
    return zip_->read(*entry);
  }
  const auto it = legacy_.find(storage.key);
  require(it != legacy_.end(), "{}: its storage '{}' is not in the file", where, printable(storage.key));
  return it->second;
}

ElementView TorchFile::view(const PickleTensor& tensor, std::string_view key) const {
  const std::string where = TorchFile::where(key);
  const Shape shape = checked_shape(tensor.dims, where);
  static_cast<void>(dtype_of(tensor.storage.element, where));  // refuse what cannot be read before looking for it
  std::string_view bytes = storage_bytes(tensor.storage, where);
  const std::size_t width = size_of(tensor.storage.element), offset = static_cast<std::size_t>(tensor.offset);
  require(offset <= bytes.size() / width, "{}: begins outside its storage; the file is damaged", where);
  return {tensor.storage.element, shape, bytes.substr(offset * width), tensor.strides, file_};
}

}  // namespace costate
