// Reading an index of shards.
#include "io/shard_index.h"

#include <algorithm>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/strict_json.h"

namespace costate {

bool is_json_text(std::string_view bytes) {
  const auto start = bytes.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || bytes[start] != '{') return false;
  const auto head = bytes.substr(start, 8);
  return std::all_of(head.begin(), head.end(),
                     [](char c) { return c == '\t' || c == '\r' || c == '\n' || (c >= 32 && c < 127); });
}

std::map<std::string, std::set<std::string>> read_shard_index(const std::filesystem::path& path) {
  constexpr std::size_t most = 100'000'000;
  const std::string where = fmt::format("index of shards '{}'", path.string());
  const auto index = parse_strictly(read_text(path, most), 8, where);
  const auto& map = member(index, "weight_map", where);
  require(map.is_object(), "{}: weight_map is not an object", where);
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [name, shard] : map.items()) {
    require(shard.is_string(), "{}: the shard of '{}' is not text", where, name);
    const auto file = std::filesystem::path(shard.get<std::string>());
    // only files beside the index: an index must not make us open anything else
    require(!file.empty() && file == file.filename() && file != "..", "{}: shard '{}' is not a plain file name", where,
            file.string());
    shards[file.string()].insert(name);
  }
  return shards;
}

}  // namespace costate
