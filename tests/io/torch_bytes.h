// PyTorch files written byte by byte: what the tests of the unpickler feed it.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace costate::io_test {

inline std::string little(std::uint64_t v, int bytes) {
  std::string s;
  for (int i = 0; i < bytes; ++i) s += static_cast<char>(v >> (8 * i));
  return s;
}

// Pickle pieces, protocol 2.
inline std::string text(const std::string& s) { return "X" + little(s.size(), 4) + s; }
inline std::string number(std::int64_t v) { return "\x8a\x08" + little(static_cast<std::uint64_t>(v), 8); }
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string s = "(";
  for (const auto& i : items) s += i;
  return s + "t";
}
inline std::string numbers(const std::vector<std::int64_t>& v) {
  std::string s = "(";
  for (const auto n : v) s += number(n);
  return s + "t";
}
inline std::string storage(const std::string& type, const std::string& key, std::int64_t size) {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), number(size)}) + "Q";
}
inline std::string tensor(const std::string& storage_id, std::int64_t offset, const std::vector<std::int64_t>& dims,
                          const std::vector<std::int64_t>& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage_id, number(offset), numbers(dims), numbers(strides), "\x89",
                global("collections", "OrderedDict") + ")R"}) +
         "R";
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string s = "}(";
  for (const auto& [k, v] : items) s += text(k) + v;
  return s + "u";
}
inline std::string pickle(const std::string& body) { return "\x80\x02" + body + "."; }

inline std::uint32_t crc_of(const std::string& s) {
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(s.data()), s.size()));
}

/// A zip archive of stored entries; with `zip64` sizes and offsets stand in the extra fields only.
inline std::string zip(const std::vector<std::pair<std::string, std::string>>& entries, bool zip64 = false) {
  std::string file, directory;
  const std::string wide = little(0xffffffffU, 4);
  for (const auto& [name, data] : entries) {
    const auto at = file.size();
    const std::string crc = little(crc_of(data), 4), size = little(data.size(), 4);
    const std::string middle = little(0, 2) + little(0, 2) + little(0, 4) + crc + size + size;  // flags, stored, time
    file += "PK\x03\x04" + little(45, 2) + middle + little(name.size(), 2) + little(0, 2) + name + data;
    const std::string extra =
        zip64 ? little(1, 2) + little(24, 2) + little(data.size(), 8) + little(data.size(), 8) + little(at, 8) : "";
    directory += "PK\x01\x02" + little(45, 2) + little(45, 2) + little(0, 8) + crc +
                 (zip64 ? wide + wide : size + size) + little(name.size(), 2) + little(extra.size(), 2) + little(0, 2) +
                 little(0, 2) + little(0, 2) + little(0, 4) + (zip64 ? wide : little(at, 4)) + name + extra;
  }
  const auto start = file.size();
  file += directory;
  if (zip64) {
    const auto record = file.size();
    file += "PK\x06\x06" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) + little(entries.size(), 8) +
            little(entries.size(), 8) + little(directory.size(), 8) + little(start, 8);
    file += "PK\x06\x07" + little(0, 4) + little(record, 8) + little(1, 4);
    return file + "PK\x05\x06" + little(0, 4) + little(0xffff, 2) + little(0xffff, 2) + wide + wide + little(0, 2);
  }
  return file + "PK\x05\x06" + little(0, 4) + little(entries.size(), 2) + little(entries.size(), 2) +
         little(directory.size(), 4) + little(start, 4) + little(0, 2);
}

/// A checkpoint of the zip format around a pickle body and (key, raw bytes) storages.
inline std::string torch_zip(const std::string& body, const std::vector<std::pair<std::string, std::string>>& storages,
                             bool zip64 = false) {
  std::vector<std::pair<std::string, std::string>> entries = {{"a/data.pkl", pickle(body)}, {"a/byteorder", "little"}};
  for (const auto& [key, bytes] : storages) entries.emplace_back("a/data/" + key, bytes);
  entries.emplace_back("a/version", "3\n");
  return zip(entries, zip64);
}

/// The same in the legacy format. Storages: (key, elements), bytes.
inline std::string torch_legacy(
    const std::string& body,
    const std::vector<std::pair<std::pair<std::string, std::int64_t>, std::string>>& storages) {
  std::string keys = "](", data;
  for (const auto& [id, bytes] : storages) {
    keys += text(id.first);
    data += little(static_cast<std::uint64_t>(id.second), 8) + bytes;
  }
  return pickle(std::string("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12)) + pickle("M\xe9\x03") +
         pickle("}(" + text("little_endian") + "\x88" + "u") + pickle(body) + pickle(keys + "e") + data;
}

}  // namespace costate::io_test
