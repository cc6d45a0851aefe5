// Attributes: fixed and variable text, numbers.
#include "io/hdf5_attribute.h"

#include <algorithm>
#include <memory>

#include "io/hdf5_handle.h"

namespace costate::hdf5 {
namespace {

constexpr std::size_t max_bytes = std::size_t{64} << 20;

struct Attribute {
  Handle id, type, space;
  std::size_t count = 0;
};

std::optional<Attribute> open(hid_t object, const std::string& name, const std::string& where) {
  const htri_t exists = H5Aexists(object, name.c_str());
  check(exists >= 0, where + ": is damaged");
  if (exists == 0) return std::nullopt;
  Attribute a;
  a.id = check(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, where + ": is damaged");
  a.type = check(H5Aget_type(a.id), H5Tclose, where);
  a.space = check(H5Aget_space(a.id), H5Sclose, where);
  const hssize_t count = H5Sget_simple_extent_npoints(a.space);
  const std::size_t size = std::max<std::size_t>(H5Tget_size(a.type), 1);
  require(count >= 0 && static_cast<std::size_t>(count) <= max_bytes / size, "{}: is too large", where);
  a.count = static_cast<std::size_t>(count);
  return a;
}

Attribute open_numbers(Attribute a, const std::string& where) {
  const H5T_class_t kind = H5Tget_class(a.type);
  require(kind == H5T_FLOAT || kind == H5T_INTEGER || kind == H5T_ENUM, "{}: is not a number", where);
  require(a.count <= max_bytes / 8, "{}: is too large", where);
  return a;
}

/// One integer as both types have it: libhdf5 takes the nearest for what one of them cannot hold.
struct Whole {
  std::int64_t integer = 0;
  std::uint64_t natural = 0;
};

std::optional<Whole> read_whole(hid_t object, const std::string& name, const std::string& where) {
  auto found = open(object, name, where);
  if (!found) return std::nullopt;
  const Attribute a = open_numbers(std::move(*found), where);
  require(a.count == 1 && H5Tget_class(a.type) != H5T_FLOAT, "{}: is not one integer", where);
  Whole w;
  check(H5Aread(a.id, H5T_NATIVE_INT64, &w.integer) >= 0 && H5Aread(a.id, H5T_NATIVE_UINT64, &w.natural) >= 0,
        where + ": is damaged");
  return w;
}

}  // namespace

std::optional<std::string> read_text(hid_t object, const std::string& name, const std::string& where) {
  const auto a = open(object, name, where);
  if (!a) return std::nullopt;
  require(H5Tget_class(a->type) == H5T_STRING && a->count == 1, "{}: is not one text", where);
  const htri_t variable = H5Tis_variable_str(a->type);
  check(variable >= 0, where);
  if (variable == 0) {
    std::string text(H5Tget_size(a->type), '\0');
    check(H5Aread(a->id, a->type, text.data()) >= 0, where + ": is damaged");
    const auto end = text.find('\0');
    if (end != std::string::npos) text.resize(end);
    if (H5Tget_strpad(a->type) == H5T_STR_SPACEPAD) text.erase(text.find_last_not_of(' ') + 1);
    return text;
  }
  // the memory type is the file's own, so that its character set needs no conversion
  char* text = nullptr;
  check(H5Aread(a->id, a->type, &text) >= 0, where + ": is damaged");
  if (text == nullptr) return std::string();
  const std::unique_ptr<char, herr_t (*)(void*)> owner(text, H5free_memory);
  return std::string(text);
}

std::optional<std::vector<double>> read_numbers(hid_t object, const std::string& name, const std::string& where) {
  auto found = open(object, name, where);
  if (!found) return std::nullopt;
  const Attribute a = open_numbers(std::move(*found), where);
  std::vector<double> v(a.count);
  if (H5Tget_class(a.type) != H5T_ENUM) {
    check(v.empty() || H5Aread(a.id, H5T_NATIVE_DOUBLE, v.data()) >= 0, where + ": is damaged");
    return v;
  }
  std::vector<std::int64_t> whole(a.count);  // libhdf5 converts enumerations to integers only
  check(v.empty() || H5Aread(a.id, H5T_NATIVE_INT64, whole.data()) >= 0, where + ": is damaged");
  std::copy(whole.begin(), whole.end(), v.begin());
  return v;
}

std::optional<std::int64_t> read_integer(hid_t object, const std::string& name, const std::string& where) {
  const auto w = read_whole(object, name, where);
  if (!w) return std::nullopt;
  require(w->integer < 0 || static_cast<std::uint64_t>(w->integer) == w->natural, "{}: {} is too large", where,
          w->natural);
  return w->integer;
}

std::optional<std::uint64_t> read_natural(hid_t object, const std::string& name, const std::string& where) {
  const auto w = read_whole(object, name, where);
  if (!w) return std::nullopt;
  require(w->integer >= 0, "{}: {} is below 0", where, w->integer);
  return w->natural;
}

void try_attributes(hid_t object) {
  H5O_info_t info;
  if (H5Oget_info2(object, &info, H5O_INFO_NUM_ATTRS) < 0) return;
  for (hsize_t i = 0; i < std::min<hsize_t>(info.num_attrs, 1000); ++i) {
    char name[1024];
    if (H5Aget_name_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) < 0) continue;
    try {
      static_cast<void>(read_text(object, name, ""));
    } catch (const Error&) {
    }
    try {
      static_cast<void>(read_numbers(object, name, ""));
    } catch (const Error&) {
    }
  }
}

void write_text(hid_t object, const std::string& name, std::string_view value, const std::string& where) {
  require(value.find('\0') == std::string_view::npos, "{}: text with a zero byte cannot be stored", where);
  std::string text(value);
  if (text.empty()) text.push_back('\0');  // no type has length 0; reading ends at the zero
  const Handle type = check(H5Tcopy(H5T_C_S1), H5Tclose, where);
  check(H5Tset_size(type, text.size()) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
            H5Tset_cset(type, H5T_CSET_UTF8) >= 0,
        where);
  const Handle space = check(H5Screate(H5S_SCALAR), H5Sclose, where);
  Handle id = check(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, where);
  check(H5Awrite(id, type, text.data()) >= 0 && id.close(), where + ": writing failed");
}

void write_values(hid_t object, const std::string& name, hid_t type, const void* data, std::size_t count, bool scalar,
                  const std::string& where) {
  const hsize_t extent = count;
  const Handle space = check(scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &extent, nullptr), H5Sclose, where);
  const hid_t stored = H5Tequal(type, H5T_NATIVE_DOUBLE) > 0  ? H5T_IEEE_F64LE
                       : H5Tequal(type, H5T_NATIVE_INT64) > 0 ? H5T_STD_I64LE
                                                              : H5T_STD_U64LE;
  Handle id = check(H5Acreate2(object, name.c_str(), stored, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, where);
  check((count == 0 || H5Awrite(id, type, data) >= 0) && id.close(), where + ": writing failed");
}

}  // namespace costate::hdf5
