// Trying a file in a child process first: libhdf5 1.10 crashes on some damaged files, and a library must not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace costate::hdf5 {

/// Reports that item number `index` failed with `message`; `whole_file` when nothing can be used.
using Report = std::function<void(std::uint32_t index, std::string_view message)>;
inline constexpr std::uint32_t whole_file = 0xffffffffU;

/// Files whose metadata carry checksums (superblock version 3: costate's own, and others' with libver = latest) are
/// safe against damage; older formats are not.
bool needs_probe(const std::filesystem::path& path);

/// Runs `work` in a child with bounded memory and time and returns what it reported. Error, beginning with `where`,
/// when the child died. To be called under hdf5::Lock, so that the child finds libhdf5 in a sound state.
std::map<std::uint32_t, std::string> probe(const std::function<void(const Report&)>& work, const std::string& where,
                                           std::uint64_t file_size);

}  // namespace costate::hdf5
