// Boxes of tensors: what the driver accepts, and what a copy of one brings.
#include <cuda.h>

#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/gpu/shim/races.h"

namespace {

bool describe(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data, const cuuint64_t* size,
              const cuuint64_t* stride) {
  if (rank != 4 || reinterpret_cast<std::uintptr_t>(data) % 16 != 0) return false;
  *map = {};
  map->data = static_cast<const char*>(data);
  map->tf32 = type == CU_TENSOR_MAP_DATA_TYPE_TFLOAT32;
  for (int i = 0; i < 4; ++i) {
    if (size[i] == 0 || size[i] > std::uint64_t{1} << 32) return false;
    map->size[i] = static_cast<std::int64_t>(size[i]);
  }
  for (int i = 0; i < 3; ++i) {
    if (stride[i] == 0 || stride[i] % 16 != 0 || stride[i] >= std::uint64_t{1} << 40) return false;
    map->stride[i] = static_cast<std::int64_t>(stride[i]);
  }
  return true;
}

struct Box {
  char* to;
  CUtensorMap map;
  int at[4], off[2];
};
struct Bytes {
  void* to;
  const void* from;
  unsigned count;
};

int bytes_of(const CUtensorMap& m) { return m.tf32 ? 4 : 2; }
int elements_of_line(const CUtensorMap& m) { return 128 / bytes_of(m); }

/// The nearest number with ten bits behind the leading one.
void round_to_tf32(char* element) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, element, sizeof bits);
  if ((bits & 0x7F800000U) != 0x7F800000U) bits = (bits + 0x1000U) & ~0x1FFFU;
  std::memcpy(element, &bits, sizeof bits);
}

/// A line of 128 bytes from (i, j, k, l) on, word w at w ^ (line % 8).
void bring_line(char* to, int line, const CUtensorMap& m, std::int64_t i, std::int64_t j, std::int64_t k,
                std::int64_t l) {
  const auto inside = [](std::int64_t at, std::int64_t size) { return at >= 0 && at < size; };
  const bool there = inside(j, m.size[1]) && inside(k, m.size[2]) && inside(l, m.size[3]);
  const int bytes = bytes_of(m), word = 16 / bytes;
  for (int e = 0; e < elements_of_line(m); ++e) {
    char* element = to + line * 128 + ((e / word) ^ (line % 8)) * 16 + e % word * bytes;
    std::memset(element, 0, static_cast<std::size_t>(bytes));
    if (!there || !inside(i + e, m.size[0])) continue;
    std::memcpy(element, m.data + (i + e) * bytes + j * m.stride[0] + k * m.stride[1] + l * m.stride[2],
                static_cast<std::size_t>(bytes));
    if (m.tf32) round_to_tf32(element);
  }
}

void bring(const Box& b) {
  const CUtensorMap& m = b.map;
  if (!m.patches) {
    for (int line = 0; line < m.lines; ++line) bring_line(b.to, line, m, b.at[0], b.at[1] + line, b.at[2], b.at[3]);
    return;
  }
  const std::int64_t last[2] = {m.size[1] - 1 + m.up[0], m.size[2] - 1 + m.up[1]};
  std::int64_t column = b.at[1], row = b.at[2], image = b.at[3];
  for (int line = 0; line < m.lines; ++line) {
    bring_line(b.to, line, m, b.at[0], column + b.off[0], row + b.off[1], image);
    column += m.step[1];
    if (column <= last[0]) continue;
    column = m.low[0];
    row += m.step[2];
    if (row <= last[1]) continue;
    row = m.low[1];
    ++image;
  }
}

/// Rounds that are over; threads of a round, and how many have come to this one; bytes that are announced and under way.
struct Count {
  unsigned threads = 0, rounds = 0, came = 0;
  std::int64_t expected = 0;
  std::vector<Box> boxes;
  std::vector<Bytes> plain;
  shim::Times coming, over;  ///< what those who wait for this round will know; for the last one

  void ends() {
    for (const Box& b : boxes) {
      bring(b);
      shim::races::copy_ends(b.to, static_cast<std::size_t>(b.map.lines) * 128, &coming);
    }
    for (const Bytes& b : plain) {
      std::memcpy(b.to, b.from, b.count);
      shim::races::copy_ends(b.to, b.count, &coming);
    }
    boxes.clear();
    plain.clear();
    expected = 0;
    came = 0;
    ++rounds;
    over = std::exchange(coming, {});
  }
};

thread_local std::map<void*, Count> counts;

}  // namespace

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data,
                                const cuuint64_t* size, const cuuint64_t* stride, const cuuint32_t* box,
                                const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion,
                                CUtensorMapFloatOOBfill) {
  const bool fits = box[1] >= 1 && box[1] <= 256 && box[2] == 1 && box[3] == 1;
  if (!fits || !describe(map, type, rank, data, size, stride)) return CUDA_ERROR_INVALID_VALUE;
  if (static_cast<int>(box[0]) != elements_of_line(*map)) return CUDA_ERROR_INVALID_VALUE;
  map->lines = static_cast<int>(box[1]);
  return CUDA_SUCCESS;
}

CUresult cuTensorMapEncodeIm2col(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data,
                                 const cuuint64_t* size, const cuuint64_t* stride, const int* low, const int* up,
                                 cuuint32_t channels, cuuint32_t pixels, const cuuint32_t* step, CUtensorMapInterleave,
                                 CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  if (pixels < 1 || pixels > 1024 || !describe(map, type, rank, data, size, stride)) return CUDA_ERROR_INVALID_VALUE;
  if (static_cast<int>(channels) != elements_of_line(*map)) return CUDA_ERROR_INVALID_VALUE;
  map->patches = true;
  map->lines = static_cast<int>(pixels);
  for (int i = 0; i < 2; ++i) {
    if (low[i] < -128 || low[i] > 127 || up[i] < -128 || up[i] > 127) return CUDA_ERROR_INVALID_VALUE;
    map->low[i] = low[i], map->up[i] = up[i];
  }
  for (int i = 0; i < 4; ++i) {
    if (step[i] < 1 || step[i] > 8) return CUDA_ERROR_INVALID_VALUE;
    map->step[i] = static_cast<int>(step[i]);
  }
  return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  *function = name == std::string("cuTensorMapEncodeTiled") ? reinterpret_cast<void*>(cuTensorMapEncodeTiled)
                                                            : reinterpret_cast<void*>(cuTensorMapEncodeIm2col);
  *found = cudaDriverEntryPointSuccess;
  return cudaSuccess;
}

namespace shim {

void start_arrival(void* arrival, unsigned threads) {
  counts[arrival] = {};
  counts[arrival].threads = threads;
}

void arrive(void* arrival, unsigned bytes) {
  Count& c = counts.at(arrival);
  if (c.came == c.threads) throw std::logic_error("shim: a thread comes to a round before the last one was over");
  ++c.came;
  c.expected += bytes;
  races::tell(c.coming);
  if (c.came == c.threads && c.expected == 0) c.ends();
}

void box_later(void* to, const CUtensorMap& map, const int (&at)[4], const int (&off)[2], void* arrival) {
  if (reinterpret_cast<std::uintptr_t>(to) % 1024 != 0) throw std::logic_error("shim: a box does not start a tile");
  if (map.patches && (off[0] < 0 || off[1] < 0)) throw std::logic_error("shim: a patch is moved to the left or up");
  counts.at(arrival).boxes.push_back({static_cast<char*>(to), map, {at[0], at[1], at[2], at[3]}, {off[0], off[1]}});
  races::copy_begins(to, static_cast<std::size_t>(map.lines) * 128);
}

void bytes_later(void* to, const void* from, unsigned count, void* arrival) {
  const auto in_words = [](std::uintptr_t n) { return n % 16 == 0; };
  if (!in_words(reinterpret_cast<std::uintptr_t>(to)) || !in_words(reinterpret_cast<std::uintptr_t>(from)) ||
      !in_words(count))
    throw std::logic_error("shim: bytes are copied that are no whole words");
  counts.at(arrival).plain.push_back({to, from, count});
  races::copy_begins(to, count);
}

void wait_for_round(void* arrival, bool odd) {
  Count& c = counts.at(arrival);
  constexpr int patience = 10000;
  for (int tries = 0; (c.rounds % 2 == 1) == odd && c.came < c.threads; ++tries) {
    if (tries == patience) throw std::logic_error("shim: a round is waited for that never ends");
    take_turns();
  }
  if ((c.rounds % 2 == 1) != odd) return races::hear(c.over);  // that round is over
  std::int64_t bytes = 0;
  for (const Box& b : c.boxes) bytes += b.map.lines * 128;
  for (const Bytes& b : c.plain) bytes += b.count;
  if (bytes != c.expected)
    throw std::logic_error("shim: " + std::to_string(bytes) + " bytes are under way where " +
                           std::to_string(c.expected) + " are waited for");
  c.ends();
  races::hear(c.over);
}

}  // namespace shim
