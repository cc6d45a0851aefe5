// Boxes of tensors: what the driver accepts, and what a copy of one brings.
#include <cuda.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/gpu/shim/races.h"

namespace {

bool describe(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data, const cuuint64_t* size,
              const cuuint64_t* stride) {
  const auto divides = [](std::uintptr_t n, const void* p) { return reinterpret_cast<std::uintptr_t>(p) % n == 0; };
  if (rank != 4 || !divides(16, data) || !divides(64, map)) return false;
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
  std::int64_t bytes = map->size[0] * (map->tf32 ? 4 : 2);
  for (int i = 0; i < 3; ++i) bytes += (map->size[i + 1] - 1) * map->stride[i];
  // Which the driver does not ask, but its copies would read.
  if (!shim::lies_in_device_memory(data, static_cast<std::size_t>(bytes)))
    throw std::logic_error("shim: a described tensor is more than there is");
  return true;
}
bool fit(const cuuint32_t* step) {
  return std::all_of(step, step + 4, [](cuuint32_t s) { return s >= 1 && s <= 8; });
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

/// f(line, where it begins in memory, how many elements of it are there) for all lines of a box.
template <class F>
void over_lines(const Box& b, const F& f) {
  const CUtensorMap& m = b.map;
  const auto inside = [](std::int64_t at, std::int64_t size) { return at >= 0 && at < size; };
  const auto from = [&](int line, std::int64_t j, std::int64_t k, std::int64_t l) {
    const bool there = inside(j, m.size[1]) && inside(k, m.size[2]) && inside(l, m.size[3]);
    const std::int64_t left = there ? m.size[0] - b.at[0] : 0;
    f(line, m.data + b.at[0] * bytes_of(m) + j * m.stride[0] + k * m.stride[1] + l * m.stride[2],
      static_cast<int>(std::clamp<std::int64_t>(left, 0, elements_of_line(m))));
  };
  if (!m.patches) {
    for (int line = 0; line < m.lines; ++line) from(line, b.at[1] + line, b.at[2], b.at[3]);
    return;
  }
  const std::int64_t last[2] = {m.size[1] - 1 + m.up[0], m.size[2] - 1 + m.up[1]};
  std::int64_t column = b.at[1], row = b.at[2], image = b.at[3];
  for (int line = 0; line < m.lines; ++line) {
    from(line, column + b.off[0], row + b.off[1], image);
    column += m.step[1];
    if (column <= last[0]) continue;
    column = m.low[0];
    row += m.step[2];
    if (row <= last[1]) continue;
    row = m.low[1];
    ++image;
  }
}

/// Lines of 128 bytes, word w at w ^ (line % 8), zeros for what is not there.
void bring(const Box& b) {
  const auto bytes = static_cast<std::size_t>(bytes_of(b.map)), word = 16 / bytes;
  over_lines(b, [&](int line, const char* from, int there) {
    for (std::size_t e = 0; e < 128 / bytes; ++e) {
      char* const element = b.to + line * 128 + ((e / word) ^ (line % 8)) * 16 + e % word * bytes;
      std::memset(element, 0, bytes);
      if (e >= static_cast<std::size_t>(there)) continue;
      std::memcpy(element, from + e * bytes, bytes);
      if (b.map.tf32) round_to_tf32(element);
    }
  });
}

/// Rounds that are over; threads of a round, and how many have come to this one; bytes that are announced and under way.
struct Count {
  unsigned threads = 0, rounds = 0, came = 0;
  std::int64_t expected = 0;
  std::vector<Box> boxes;
  std::vector<Bytes> plain;
  shim::Times coming, over;                ///< what those who wait for this round will know; for the last one
  std::map<std::size_t, unsigned> waited;  ///< by each thread, for so many rounds

  void ends() {
    std::int64_t bytes = 0;
    for (const Box& b : boxes) bytes += b.map.lines * 128;
    for (const Bytes& b : plain) bytes += b.count;
    if (bytes != expected) shim::broken(fmt::format("{} bytes are under way where {} are waited for", bytes, expected));
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

/// By a thread that has seen it started, or by the engine for one.
Count& count_of(void* arrival, shim::races::By by) {
  const auto found = counts.find(arrival);
  if (found == counts.end()) shim::broken("an arrival was not started");
  shim::races::reads(shim::number_in_cluster(), arrival, sizeof(std::uint64_t), by);
  return found->second;
}

}  // namespace

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data,
                                const cuuint64_t* size, const cuuint64_t* stride, const cuuint32_t* box,
                                const cuuint32_t* every, CUtensorMapInterleave, CUtensorMapSwizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  const bool fits = box[1] >= 1 && box[1] <= 256 && box[2] == 1 && box[3] == 1 && fit(every);
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
    if (low[i] > map->size[i + 1] - 1 + up[i]) return CUDA_ERROR_INVALID_VALUE;  // no pixel
  }
  if (!fit(step)) return CUDA_ERROR_INVALID_VALUE;
  std::copy_n(step, 4, map->step);
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
  if (reinterpret_cast<std::uintptr_t>(arrival) % sizeof(std::uint64_t) != 0) broken("an arrival is no whole word");
  if (threads < 1 || threads >= 1U << 20) broken("an arrival counts more than it can");
  races::writes(arrival, sizeof(std::uint64_t));
  counts[arrival] = {};
  counts[arrival].threads = threads;
}

void arrive(void* arrival, unsigned bytes) {
  Count& c = count_of(arrival, races::By::thread);
  if (c.came == c.threads) broken("a thread comes to a round before the last one was over");
  ++c.came;
  c.expected += bytes;
  if (c.expected >= 1 << 20) broken("more bytes are to arrive than an arrival can count");
  races::tell(c.coming);
  if (c.came == c.threads && c.expected == 0) c.ends();
}

void box_later(void* to, const CUtensorMap& map, const int (&at)[4], const int (&off)[2], void* arrival) {
  if (reinterpret_cast<std::uintptr_t>(to) % 1024 != 0) broken("a box does not start a tile");
  if (map.patches && (off[0] < 0 || off[1] < 0)) broken("a patch is moved to the left or up");
  if (at[0] < 0) broken("a box begins before its lines");
  const std::size_t bytes = static_cast<std::size_t>(map.lines) * 128;
  if (!lies_in_shared(to, bytes)) broken("a box is not for shared memory");
  const Box box{static_cast<char*>(to), map, {at[0], at[1], at[2], at[3]}, {off[0], off[1]}};
  count_of(arrival, races::By::engine).boxes.push_back(box);
  races::copy_begins(to, bytes, races::By::engine);
  if (!races::watched) return;
  over_lines(box, [&](int, const char* from, int there) {
    races::reads(number_in_cluster(), from, static_cast<std::size_t>(there * bytes_of(map)), races::By::engine);
  });
}

void bytes_later(void* to, const void* from, unsigned count, void* arrival) {
  const auto in_words = [](std::uintptr_t n) { return n % 16 == 0; };
  if (!in_words(reinterpret_cast<std::uintptr_t>(to)) || !in_words(reinterpret_cast<std::uintptr_t>(from)) ||
      !in_words(count) || count == 0)
    broken("bytes are copied that are no whole words");
  if (!lies_in_shared(to, count)) broken("bytes are not for shared memory");
  count_of(arrival, races::By::engine).plain.push_back({to, from, count});
  races::copy_begins(to, count, races::By::engine);
  races::reads(number_in_cluster(), from, count, races::By::engine);
}

void wait_for_round(void* arrival, bool odd) {
  Count& c = count_of(arrival, races::By::thread);
  constexpr int patience = 10000;
  for (int tries = 0; (c.rounds % 2 == 1) == odd && c.came < c.threads; ++tries) {
    if (tries == patience) broken("a round is waited for that never ends");
    take_turns();
  }
  if ((c.rounds % 2 == 1) == odd) c.ends();
  races::hear(c.over);
  unsigned& waited = c.waited[number_in_cluster()];
  if (waited == c.rounds) broken("a round is waited for twice, maybe for the next one");
  waited = c.rounds;
}

void arrivals_begin() { counts.clear(); }

void arrivals_end() {
  for (const auto& [at, c] : counts)
    if (!c.boxes.empty() || !c.plain.empty()) broken("a block ends while copies to it are under way");
}

}  // namespace shim
