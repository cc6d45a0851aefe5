// safetensors: the checks of the header, and reading from the map.
#include "io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/json_complaint.h"
#include "io/atomic_file.h"
#include "io/element.h"
#include "io/mapped_file.h"
#include "io/strict_json.h"

namespace costate {
namespace {

using Json = nlohmann::json;
constexpr std::size_t max_header = 100'000'000;  // the limit of the format

struct Name {
  std::string_view name;
  Element element;
  std::size_t size;
};
constexpr Name names[] = {
    {"F64", Element::f64, 8},      {"F32", Element::f32, 4},        {"F16", Element::f16, 2},
    {"BF16", Element::bf16, 2},    {"I64", Element::i64, 8},        {"I32", Element::i32, 4},
    {"I16", Element::i16, 2},      {"I8", Element::i8, 1},          {"U64", Element::u64, 8},
    {"U32", Element::u32, 4},      {"U16", Element::u16, 2},        {"U8", Element::u8, 1},
    {"BOOL", Element::boolean, 1}, {"F8_E4M3", Element::f8, 1},     {"F8_E5M2", Element::f8, 1},
    {"F8_E8M0", Element::f8, 1},   {"F8_E4M3FNUZ", Element::f8, 1}, {"F8_E5M2FNUZ", Element::f8, 1},
    {"C64", Element::complex, 8},
};

const Name* find_name(std::string_view dtype) {
  for (const auto& n : names)
    if (n.name == dtype) return &n;
  return nullptr;
}

std::vector<std::int64_t> unsigned_numbers(const Json& list, const std::string& where) {
  require(list.is_array(), "{}: wants a list of numbers", where);
  std::vector<std::int64_t> v;
  for (const auto& x : list) {
    require(x.is_number_unsigned() && std::in_range<std::int64_t>(x.get<std::uint64_t>()),
            "{}: wants whole numbers that are not negative", where);
    v.push_back(x.get<std::int64_t>());
  }
  return v;
}

Safetensors::Entry parse_entry(const std::string& name, const Json& value, const std::string& path) {
  const std::string where = fmt::format("safetensors '{}': tensor '{}'", path, name);
  require(value.is_object(), "{}: the header has no object for it", where);
  const Json& dtype = member(value, "dtype", where);
  require(dtype.is_string() && find_name(dtype.get_ref<const std::string&>()) != nullptr, "{}: dtype {} is unknown",
          where, dtype.dump(-1, ' ', true, Json::error_handler_t::replace));
  Safetensors::Entry e;
  e.name = name;
  e.dtype = dtype.get<std::string>();
  e.shape = checked_shape(unsigned_numbers(member(value, "shape", where), where + ": shape"), where);
  const auto offsets = unsigned_numbers(member(value, "data_offsets", where), where + ": data_offsets");
  require(offsets.size() == 2 && offsets[0] <= offsets[1], "{}: data_offsets wants [begin, end]", where);
  e.begin = static_cast<std::size_t>(offsets[0]);
  e.end = static_cast<std::size_t>(offsets[1]);
  const std::size_t need = static_cast<std::size_t>(e.shape.size()) * find_name(e.dtype)->size;
  require(e.end - e.begin == need, "{}: shape {} of {} needs {} bytes, data_offsets give {}", where, to_string(e.shape),
          e.dtype, need, e.end - e.begin);
  return e;
}

// The tensors tile the data part exactly: the format allows neither overlaps nor holes nor a rest.
void check_tiling(std::vector<Safetensors::Entry> entries, std::size_t data, const std::string& path) {
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::size_t at = 0;
  for (const auto& e : entries) {
    require(e.begin == at,
            "safetensors '{}': the data of tensor '{}' begins at byte {}, but {} is where the one before ends", path,
            e.name, e.begin, at);
    at = e.end;
  }
  require(at == data, "safetensors '{}': the header describes {} bytes of data, the file has {}{}", path, at, data,
          at > data ? " (truncated? fetch it again)" : "");
}

// (header text, first byte of the data)
std::pair<std::string_view, std::size_t> header_of(std::string_view bytes, const std::string& path) {
  require(bytes.size() >= 8, "safetensors '{}': {} bytes are too few for a header (truncated? fetch it again)", path,
          bytes.size());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  require(length <= bytes.size() - 8,
          "safetensors '{}': the header claims {} bytes, the file has {} (truncated, or not safetensors)", path, length,
          bytes.size() - 8);
  require(length <= max_header, "safetensors '{}': a header of {} bytes is above the format's limit of {}", path,
          length, max_header);
  return {bytes.substr(8, length), 8 + length};
}

}  // namespace

Safetensors Safetensors::open(const std::filesystem::path& path) {
  Safetensors s;
  s.path_ = path;
  s.file_ = std::make_shared<const MappedFile>(path);
  const std::string name = path.string(), where = fmt::format("safetensors '{}'", name);
  const auto [text, data] = header_of(s.file_->bytes(), name);
  s.data_ = data;
  const Json header = parse_strictly(text, 4, where);
  require(header.is_object(), "{}: the header is not a JSON object", where);
  for (const auto& [key, value] : header.items()) {
    if (key != "__metadata__") {
      s.entries_.push_back(parse_entry(key, value, name));
      continue;
    }
    require(value.is_object(), "{}: __metadata__ is not an object", where);
    for (const auto& [k, v] : value.items()) {
      require(v.is_string(), "{}: __metadata__ '{}' is not text", where, k);
      s.metadata_.emplace(k, v.get<std::string>());
    }
  }
  check_tiling(s.entries_, s.file_->size() - data, name);
  std::sort(s.entries_.begin(), s.entries_.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return s;
}

const Safetensors::Entry* Safetensors::find(std::string_view name) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const Entry& e, std::string_view n) { return e.name < n; });
  return it != entries_.end() && it->name == name ? &*it : nullptr;
}

const Safetensors::Entry& Safetensors::at(std::string_view name) const {
  const Entry* e = find(name);
  require(e != nullptr, "safetensors '{}': has no tensor '{}' (of {})", path_.string(), name, entries_.size());
  return *e;
}

std::string Safetensors::where(const Entry& e) const {
  return fmt::format("safetensors '{}': tensor '{}' ({})", path_.string(), e.name, e.dtype);
}

Element Safetensors::element(std::string_view name) const { return find_name(at(name).dtype)->element; }

DType Safetensors::dtype(std::string_view name) const { return dtype_of(element(name), where(at(name))); }

ElementView Safetensors::view(std::string_view name) const {
  const Entry& e = at(name);
  return {find_name(e.dtype)->element, e.shape, file_->bytes().substr(data_ + e.begin, e.end - e.begin), {}, file_};
}

Tensor Safetensors::read(std::string_view name) const { return read_elements(view(name), where(at(name))); }

void write_safetensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& entries,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<std::pair<std::string, ElementView>> views;
  for (const auto& [name, tensor] : entries) views.emplace_back(name, view_of(tensor));
  write_safetensors_bits(path, views, metadata);
}

namespace {

using Views = std::vector<std::pair<std::string, ElementView>>;

// The header of tensors that follow one another in this order, padded to 8 bytes.
std::string header_for(const Views& sorted, const std::map<std::string, std::string>& metadata,
                       const std::filesystem::path& path) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t at = 0;
  for (const auto& [name, view] : sorted) {
    const auto* type = std::find_if(std::begin(names), std::end(names),
                                    [e = view.element](const Name& n) { return n.element == e && size_of(e) != 0; });
    require(type != std::end(names), "safetensors '{}': {} elements ('{}') cannot be written", path.string(),
            name_of(view.element), name);
    require(!header.contains(name) && name != "__metadata__",
            "safetensors '{}': the name '{}' is given twice or reserved", path.string(), name);
    const std::size_t bytes = static_cast<std::size_t>(view.shape.size()) * type->size;
    header[name] = {{"dtype", type->name},
                    {"shape", std::vector<std::int64_t>(view.shape.begin(), view.shape.end())},
                    {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& e) {
    fail("safetensors '{}': a name or the metadata is not UTF-8: {}", path.string(), json_complaint(e));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= max_header, "safetensors '{}': the header would be longer than the format allows",
          path.string());
  return text;
}

}  // namespace

void write_safetensors_bits(const std::filesystem::path& path, const Views& entries,
                            const std::map<std::string, std::string>& metadata) {
  Views sorted = entries;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::pair(-static_cast<int>(size_of(a.second.element)), std::string_view(a.first)) <
           std::pair(-static_cast<int>(size_of(b.second.element)), std::string_view(b.first));
  });
  const std::string text = header_for(sorted, metadata, path);
  const std::uint64_t length = text.size();
  OutputFile file(path);
  file.write(&length, 8);
  file.write(text);
  for (const auto& [name, view] : sorted) {
    std::string room;
    file.write(dense_bytes(view, room, fmt::format("safetensors '{}': tensor '{}'", path.string(), name)));
  }
  file.commit();
}

}  // namespace costate
