// IDX: four bytes (0, 0, type, rank), big-endian extents, then the values. zlib reads plain files as they are.
#include "io/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "core/error.h"

namespace costate {
namespace {

constexpr std::int64_t most_values = std::int64_t{1} << 30;
constexpr unsigned char unsigned_byte = 0x08;

using GzFile = std::unique_ptr<gzFile_s, int (*)(gzFile)>;

void read_exactly(gzFile file, void* to, std::size_t bytes, const std::string& path) {
  auto* at = static_cast<unsigned char*>(to);
  while (bytes > 0) {
    const int got = gzread(file, at, static_cast<unsigned>(bytes));
    require(got > 0, "{}: ends early, or is damaged; fetch it again", path);
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
}

}  // namespace

Tensor read_idx(const std::filesystem::path& path) {
  const GzFile file(gzopen(path.c_str(), "rb"), gzclose);
  require(file != nullptr, "{}: cannot be opened", path.string());
  std::array<unsigned char, 4> head{};
  read_exactly(file.get(), head.data(), head.size(), path.string());
  require(head[0] == 0 && head[1] == 0 && head[2] == unsigned_byte && head[3] >= 1 && head[3] <= 4,
          "{}: is no IDX file of bytes (it begins {:02x} {:02x} {:02x} {:02x})", path.string(), head[0], head[1],
          head[2], head[3]);
  std::vector<std::int64_t> extents;
  std::int64_t size = 1;
  for (int axis = 0; axis < head[3]; ++axis) {
    std::array<unsigned char, 4> e{};
    read_exactly(file.get(), e.data(), e.size(), path.string());
    extents.push_back((std::int64_t{e[0]} << 24) | (e[1] << 16) | (e[2] << 8) | e[3]);
    require(extents.back() > 0 && extents.back() <= most_values / size, "{}: extent {} of axis {} is not sensible",
            path.string(), extents.back(), axis);
    size *= extents.back();
  }
  // Block by block: a head may promise more than the file has, and how much a compressed one has nobody knows before.
  std::vector<unsigned char> bytes;
  while (bytes.size() < static_cast<std::size_t>(size)) {
    const std::size_t done = bytes.size(),
                      block = std::min<std::size_t>(static_cast<std::size_t>(size) - done, 1U << 20);
    bytes.resize(done + block);
    read_exactly(file.get(), bytes.data() + done, block, path.string());
  }
  Tensor values = Tensor::empty(Shape(extents), DType::f32);
  std::copy(bytes.begin(), bytes.end(), values.mutable_data<float>());
  return values;
}

}  // namespace costate
