// Where a tensor lives.
#pragma once

#include <cstdint>
#include <string_view>

namespace costate {

enum class Device : std::uint8_t { cpu, cuda };
inline constexpr int device_count = 2;

constexpr std::string_view name_of(Device d) { return d == Device::cpu ? "cpu" : "cuda"; }

}  // namespace costate
