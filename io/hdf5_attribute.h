// Attributes of open HDF5 objects, for the reader and the writer. To be called under hdf5::Lock.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace costate::hdf5 {

/// nullopt when `object` has no attribute of that name; Error, beginning with `where`, when it is of another kind or
/// damaged.
std::optional<std::string> read_text(hid_t object, const std::string& name, const std::string& where);
std::optional<std::vector<double>> read_numbers(hid_t object, const std::string& name, const std::string& where);
std::optional<std::int64_t> read_integer(hid_t object, const std::string& name, const std::string& where);
std::optional<std::uint64_t> read_natural(hid_t object, const std::string& name, const std::string& where);

/// Reads every attribute of `object` and forgets it; what cannot be read is passed over. For hdf5_probe.h.
void try_attributes(hid_t object);

/// Text is stored as UTF-8 of fixed length: unlike the heap of variable-length text, attributes are under a checksum.
void write_text(hid_t object, const std::string& name, std::string_view value, const std::string& where);
/// `data` holds `count` values of the memory type `type` (native double, int64 or uint64); `scalar` for one value without a
/// shape.
void write_values(hid_t object, const std::string& name, hid_t type, const void* data, std::size_t count, bool scalar,
                  const std::string& where);

}  // namespace costate::hdf5
