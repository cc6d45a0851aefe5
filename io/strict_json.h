// JSON inside files: of bounded depth, and nothing named twice (a parser alone would keep the last of two equal names).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace costate {

/// Throws, beginning with `where`, for text that is not JSON, nested more than `depth` deep, or names something twice.
[[nodiscard]] nlohmann::json parse_strictly(std::string_view text, std::size_t depth, const std::string& where);

/// The member of an object; throws where it is missing.
[[nodiscard]] const nlohmann::json& member(const nlohmann::json& object, const char* name, const std::string& where);

}  // namespace costate
