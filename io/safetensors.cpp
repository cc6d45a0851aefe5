// safetensors: the checks of the header, and reading from the map.
#include "io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "io/atomic_file.h"
#include "io/element.h"
#include "io/mapped_file.h"

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

// JSON that is at most `depth` deep and names nothing twice: the parser alone would keep the last of two equal names.
Json parse_strictly(std::string_view text, int depth, const std::string& where) {
  std::vector<std::set<std::string>> seen;
  const auto check = [&](int level, Json::parse_event_t event, Json& value) {
    require(level <= depth, "{}: the JSON text is nested more than {} deep", where, depth);
    if (event == Json::parse_event_t::object_start) seen.emplace_back();
    if (event == Json::parse_event_t::object_end && !seen.empty()) seen.pop_back();
    if (event == Json::parse_event_t::key)
      require(seen.back().insert(value.get<std::string>()).second, "{}: '{}' occurs twice", where,
              value.get<std::string>());
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), check);
  } catch (const Json::exception& e) {
    fail("{}: the header is not valid JSON: {}", where, e.what());
  }
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

const Json& member(const Json& object, const char* name, const std::string& where) {
  const auto it = object.find(name);
  require(it != object.end(), "{}: '{}' is missing in the header", where, name);
  return *it;
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

// Does the file start as JSON text does? (A length whose first byte is '{' has zeros after it.)
bool is_json(std::string_view bytes) {
  const auto start = bytes.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || bytes[start] != '{') return false;
  const auto head = bytes.substr(start, 8);
  return std::all_of(head.begin(), head.end(),
                     [](char c) { return c == '\t' || c == '\r' || c == '\n' || (c >= 32 && c < 127); });
}

void sort_by_name(std::vector<Safetensors::Entry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

}  // namespace

void Safetensors::add_file(const std::filesystem::path& path) {
  auto file = std::make_shared<const MappedFile>(path);
  const std::string name = path.string(), where = fmt::format("safetensors '{}'", name);
  const auto [text, data] = header_of(file->bytes(), name);
  const Json header = parse_strictly(text, 4, where);
  require(header.is_object(), "{}: the header is not a JSON object", where);
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key != "__metadata__") {
      entries.push_back(parse_entry(key, value, name));
      entries.back().file = parts_.size();
      continue;
    }
    require(value.is_object(), "{}: __metadata__ is not an object", where);
    for (const auto& [k, v] : value.items()) {
      require(v.is_string(), "{}: __metadata__ '{}' is not text", where, k);
      metadata_.emplace(k, v.get<std::string>());
    }
  }
  check_tiling(entries, file->size() - data, name);
  entries_.insert(entries_.end(), entries.begin(), entries.end());
  parts_.push_back({std::move(file), data});
}

void Safetensors::add_shards(const std::string& index_text) {
  const std::string where = fmt::format("safetensors index '{}'", path_.string());
  const Json index = parse_strictly(index_text, 8, where);
  const Json& map = member(index, "weight_map", where);
  require(map.is_object(), "{}: weight_map is not an object", where);
  std::map<std::string, std::size_t> shards;
  for (const auto& [name, shard] : map.items()) {
    require(shard.is_string(), "{}: the shard of '{}' is not text", where, name);
    const auto file = std::filesystem::path(shard.get<std::string>());
    // only files beside the index: an index must not make us open anything else
    require(!file.empty() && file == file.filename() && file != "..", "{}: shard '{}' is not a plain file name", where,
            file.string());
    shards.emplace(file.string(), 0);
  }
  for (auto& [file, part] : shards) {
    part = parts_.size();
    add_file(path_.parent_path() / file);
  }
  std::set<std::pair<std::string, std::size_t>> wanted;
  for (const auto& [name, shard] : map.items()) wanted.emplace(name, shards.at(shard.get<std::string>()));
  std::erase_if(entries_, [&](const Entry& e) { return wanted.erase({e.name, e.file}) == 0; });
  require(wanted.empty(), "{}: tensor '{}' is not in the shard it names ({} such)", where, wanted.begin()->first,
          wanted.size());
}

Safetensors Safetensors::open(const std::filesystem::path& path) {
  Safetensors s;
  s.path_ = path;
  bool index = false;
  {
    const MappedFile file(path);
    index = is_json(file.bytes());
  }
  if (index)
    s.add_shards(read_text(path, max_header));
  else
    s.add_file(path);
  sort_by_name(s.entries_);
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
  const Part& part = parts_[e.file];
  return {find_name(e.dtype)->element,
          e.shape,
          part.file->bytes().substr(part.data + e.begin, e.end - e.begin),
          {},
          part.file};
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
    fail("safetensors '{}': a name or the metadata is not UTF-8: {}", path.string(), e.what());
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
