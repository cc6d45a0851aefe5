// An index of shards, such as model.safetensors.index.json or pytorch_model.bin.index.json: which file beside it holds which tensor.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace costate {

/// Does a file begin as JSON text does? (A safetensors header's length may begin with a '{', but has zeros after it.)
[[nodiscard]] bool is_json_text(std::string_view bytes);

/// Every shard's file name with the tensors that should lie in it. Error: not JSON, no weight_map, a shard that is not a
/// plain file name.
[[nodiscard]] std::map<std::string, std::set<std::string>> read_shard_index(const std::filesystem::path& path);

}  // namespace costate
