// The central directory of a zip archive, every number of it checked before use.
#include "io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace costate {
namespace {

template <class T>
T number_at(std::string_view bytes, std::size_t at) {
  T v;
  std::memcpy(&v, bytes.data() + at, sizeof v);
  return v;
}
std::uint16_t u16(std::string_view b, std::size_t at) { return number_at<std::uint16_t>(b, at); }
std::uint32_t u32(std::string_view b, std::size_t at) { return number_at<std::uint32_t>(b, at); }
std::uint64_t u64(std::string_view b, std::size_t at) { return number_at<std::uint64_t>(b, at); }

constexpr std::uint32_t end_mark = 0x06054b50, end64_mark = 0x06064b50, locator_mark = 0x07064b50,
                        central_mark = 0x02014b50, local_mark = 0x04034b50;
constexpr std::size_t end_size = 22, locator_size = 20, end64_size = 56, central_size = 46, local_size = 30;

struct Directory {
  std::uint64_t count = 0, offset = 0, size = 0;
};

// The end record is the last thing in the file but for a comment of at most 65535 bytes.
Directory find_directory(std::string_view bytes, const std::string& where) {
  require(bytes.size() >= end_size, "{}: {} bytes are too few for a zip archive", where, bytes.size());
  const std::size_t first = bytes.size() - std::min(bytes.size(), end_size + 65535);
  for (std::size_t at = bytes.size() - end_size + 1; at-- > first;) {
    if (u32(bytes, at) != end_mark || at + end_size + u16(bytes, at + 20) != bytes.size()) continue;
    Directory d{u16(bytes, at + 10), u32(bytes, at + 16), u32(bytes, at + 12)};
    const bool zip64 = at >= locator_size && u32(bytes, at - locator_size) == locator_mark;
    if (!zip64) return d;
    const std::uint64_t record = u64(bytes, at - locator_size + 8);
    require(record <= bytes.size() && bytes.size() - record >= end64_size && u32(bytes, record) == end64_mark,
            "{}: the zip64 end record is not where it should be; the file is damaged", where);
    return {u64(bytes, record + 32), u64(bytes, record + 48), u64(bytes, record + 40)};
  }
  fail("{}: has no zip directory at its end; the file is truncated or damaged, fetch it again", where);
}

// Sizes and offset that do not fit 32 bits stand in the extra field, in this order, only those that are needed.
void apply_zip64(std::string_view extra, std::uint64_t* fields[3], const std::string& where) {
  while (extra.size() >= 4) {
    const std::size_t length = u16(extra, 2);
    require(length <= extra.size() - 4, "{}: an extra field is damaged", where);
    std::string_view body = extra.substr(4, length);
    for (int i = 0; i < 3 && u16(extra, 0) == 1; ++i) {
      if (*fields[i] != 0xffffffffU) continue;
      require(body.size() >= 8, "{}: the zip64 field is too short", where);
      *fields[i] = u64(body, 0);
      body.remove_prefix(8);
    }
    extra.remove_prefix(4 + length);
  }
}

// The data follows the local header, whose name and extra lengths are its own.
std::size_t data_offset(std::string_view bytes, std::uint64_t local, std::uint64_t size, const std::string& where) {
  require(local <= bytes.size() && bytes.size() - local >= local_size && u32(bytes, local) == local_mark,
          "{}: its local header is not where the directory says; the file is damaged", where);
  const std::uint64_t data = local + local_size + u16(bytes, local + 26) + u16(bytes, local + 28);
  require(data <= bytes.size() && size <= bytes.size() - data,
          "{}: reaches outside the file; the file is truncated or damaged", where);
  return data;
}

// Reads the record at `at` and moves `at` past it.
ZipArchive::Entry read_entry(std::string_view bytes, std::size_t& at, std::size_t end, const std::string& archive) {
  require(end - at >= central_size && u32(bytes, at) == central_mark, "{}: the zip directory is damaged", archive);
  const std::size_t name = u16(bytes, at + 28), extra = u16(bytes, at + 30), comment = u16(bytes, at + 32);
  require(end - at - central_size >= name + extra + comment, "{}: the zip directory is damaged", archive);
  ZipArchive::Entry e;
  e.name = bytes.substr(at + central_size, name);
  e.crc = u32(bytes, at + 16);
  const std::string where = fmt::format("{}: entry '{}'", archive, e.name);
  std::uint64_t packed = u32(bytes, at + 20), size = u32(bytes, at + 24), local = u32(bytes, at + 42);
  std::uint64_t* fields[3] = {&size, &packed, &local};
  apply_zip64(bytes.substr(at + central_size + name, extra), fields, where);
  e.readable = (u16(bytes, at + 8) & 1U) == 0 && u16(bytes, at + 10) == 0 && packed == size;
  e.size = size;
  e.offset = data_offset(bytes, local, packed, where);
  at += central_size + name + extra + comment;
  return e;
}

}  // namespace

ZipArchive::ZipArchive(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {
  const std::string_view bytes = file_->bytes();
  const std::string where = fmt::format("'{}'", file_->path().string());
  const Directory d = find_directory(bytes, where);
  require(d.offset <= bytes.size() && d.size <= bytes.size() - d.offset && d.count <= d.size / central_size,
          "{}: the zip directory reaches outside the file; the file is damaged", where);
  std::size_t at = d.offset;
  for (std::uint64_t i = 0; i < d.count; ++i) entries_.push_back(read_entry(bytes, at, d.offset + d.size, where));
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < entries_.size(); ++i)
    require(entries_[i].name != entries_[i - 1].name, "{}: the zip entry '{}' occurs twice", where, entries_[i].name);
}

const ZipArchive::Entry* ZipArchive::find(std::string_view name) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const Entry& e, std::string_view n) { return e.name < n; });
  return it != entries_.end() && it->name == name ? &*it : nullptr;
}

std::string_view ZipArchive::read(const Entry& entry) const {
  require(entry.readable, "'{}': entry '{}' is compressed or encrypted; PyTorch stores its data plainly",
          file_->path().string(), entry.name);
  const std::string_view data = file_->bytes().substr(entry.offset, entry.size);
  const std::lock_guard lock(mutex_);
  if (checked_.contains(entry.offset)) return data;
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
  require(crc == entry.crc, "'{}': entry '{}' has the wrong checksum; the file is damaged, fetch it again",
          file_->path().string(), entry.name);
  checked_.insert(entry.offset);
  return data;
}

}  // namespace costate
