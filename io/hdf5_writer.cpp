// HDF5 out: built in memory, written to a temporary file that takes its name only when all is well.
#include <algorithm>
#include <vector>

#include "io/atomic_file.h"
#include "io/hdf5.h"
#include "io/hdf5_attribute.h"
#include "io/hdf5_handle.h"
#include "io/hdf5_image.h"
#include "io/hdf5_types.h"

namespace costate {
namespace {

using hdf5::check;
using hdf5::Handle;
using hdf5::Lock;

constexpr std::int64_t chunk_elements = 1 << 18;  // 1 MiB of f32: a few chunks per weight, cheap to unpack
constexpr std::int64_t compress_from = 257;       // below, headers cost more than is saved
constexpr unsigned gzip_level = 6;

// Halves the largest extent until the chunk is small: squarish chunks, and no short slivers.
std::vector<hsize_t> chunk_of(const Shape& shape) {
  std::vector<hsize_t> chunk(shape.begin(), shape.end());
  const auto size = [&] {
    hsize_t n = 1;
    for (const auto c : chunk) n *= c;
    return n;
  };
  while (size() > chunk_elements) {
    auto& longest = *std::max_element(chunk.begin(), chunk.end());
    longest = (longest + 1) / 2;
  }
  return chunk;
}

Handle creation_list(const Shape& shape, bool compress, const std::string& where) {
  Handle list = check(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, where);
  check(H5Pset_obj_track_times(list, false) >= 0, where);
  check(H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) >= 0, where);
  if (!compress || shape.rank() == 0 || shape.size() < compress_from) return list;
  const auto chunk = chunk_of(shape);
  check(H5Pset_chunk(list, shape.rank(), chunk.data()) >= 0 && H5Pset_shuffle(list) >= 0 &&
            H5Pset_deflate(list, gzip_level) >= 0,
        where);
  return list;
}

// libhdf5 reads "." as "this group" and drops empty parts: names that would not come back as they are.
void check_name(const std::string& name, const std::string& where) {
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t slash = std::min(name.find('/', at), name.size());
    const std::string part = name.substr(at, slash - at);
    require(!part.empty() && part != "." && part.find('\0') == std::string::npos, "{}: is not a valid name", where);
    at = slash + 1;
  }
}

// One by one, as groups that libhdf5 makes on the way would carry the time of day.
void create_groups(hid_t file, const std::string& name, const std::string& where) {
  const Handle list = check(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, where);
  check(H5Pset_obj_track_times(list, false) >= 0, where);
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::string group = name.substr(0, slash);
    const htri_t exists = H5Lexists(file, group.c_str(), H5P_DEFAULT);
    check(exists >= 0, where);
    if (exists == 0) check(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, list, H5P_DEFAULT), H5Gclose, where);
  }
}

}  // namespace

struct Hdf5Writer::State {
  explicit State(const std::filesystem::path& final) : path(final), output(final) {}

  std::filesystem::path path;
  OutputFile output;
  hdf5::Image image;
  Handle file;  // after the image: it is closed first

  [[nodiscard]] std::string where() const { return fmt::format("HDF5 output '{}'", path.string()); }
  [[nodiscard]] Handle object(std::string_view name) const {
    require(file.valid(), "{}: written to after finish", where());
    return check(H5Oopen(file, name.empty() ? "/" : std::string(name).c_str(), H5P_DEFAULT), H5Oclose,
                 fmt::format("{}: there is no '{}' to give an attribute to", where(), name));
  }
  [[nodiscard]] std::string at(std::string_view object, const std::string& name) const {
    return fmt::format("{}: attribute '{}' of '{}'", where(), name, object);
  }
};

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {
  const Lock lock;
  const std::string where = state_->where();
  const Handle access = check(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, where);
  const Handle creation = check(H5Pcreate(H5P_FILE_CREATE), H5Pclose, where);
  check(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0, where);
  check(H5Pset_obj_track_times(creation, false) >= 0, where);
  // The format of 1.10 puts checksums on all metadata: damage is found instead of crashing
  // libhdf5, as it can in older formats.
  check(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0, where);
  check(state_->image.attach(access), where);
  // libhdf5 tells files in memory apart by name, and would read an existing one of that name from disk
  const std::string name = fmt::format("{}.image-{}", path.string(), static_cast<const void*>(state_.get()));
  state_->file =
      check(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, creation, access), H5Fclose, where + ": cannot be created");
}

Hdf5Writer::Hdf5Writer(Hdf5Writer&&) noexcept = default;
Hdf5Writer& Hdf5Writer::operator=(Hdf5Writer&&) noexcept = default;
Hdf5Writer::~Hdf5Writer() = default;

void Hdf5Writer::write(const std::string& name, const ElementView& value, bool compress) {
  const Lock lock;
  const std::string where = fmt::format("{}: dataset '{}'", state_->where(), name);
  require(state_->file.valid(), "{}: written to after finish", where);
  check_name(name, where);
  std::string room;
  const std::string_view bytes = dense_bytes(value, room, where);
  const Handle type = hdf5::file_type(value.element, where);
  const std::vector<hsize_t> dims(value.shape.begin(), value.shape.end());
  const Handle space =
      check(dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(value.shape.rank(), dims.data(), nullptr), H5Sclose,
            where);
  create_groups(state_->file, name, where);
  const Handle list = creation_list(value.shape, compress, where);
  Handle set = check(H5Dcreate2(state_->file, name.c_str(), type, space, H5P_DEFAULT, list, H5P_DEFAULT), H5Dclose,
                     where + ": cannot be created (is the name taken?)");
  // the same type on both sides: libhdf5 converts nothing
  const bool written = bytes.empty() || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) >= 0;
  check(written, where + ": writing failed; nothing was kept");
  if (value.element == Element::bf16) hdf5::write_text(set, "dtype", "bf16", where);
  check(set.close(), where + ": writing failed; nothing was kept");
}

void Hdf5Writer::attribute(std::string_view object, const std::string& name, std::string_view value) {
  const Lock lock;
  hdf5::write_text(state_->object(object), name, value, state_->at(object, name));
}

void Hdf5Writer::attribute(std::string_view object, const std::string& name, double value) {
  const Lock lock;
  hdf5::write_values(state_->object(object), name, H5T_NATIVE_DOUBLE, &value, 1, true, state_->at(object, name));
}

void Hdf5Writer::attribute(std::string_view object, const std::string& name, std::int64_t value) {
  const Lock lock;
  hdf5::write_values(state_->object(object), name, H5T_NATIVE_INT64, &value, 1, true, state_->at(object, name));
}

void Hdf5Writer::attribute(std::string_view object, const std::string& name, std::uint64_t value) {
  const Lock lock;
  hdf5::write_values(state_->object(object), name, H5T_NATIVE_UINT64, &value, 1, true, state_->at(object, name));
}

void Hdf5Writer::attribute(std::string_view object, const std::string& name, const std::vector<double>& value) {
  const Lock lock;
  hdf5::write_values(state_->object(object), name, H5T_NATIVE_DOUBLE, value.data(), value.size(), false,
                     state_->at(object, name));
}

void Hdf5Writer::finish() {
  const Lock lock;
  require(state_->file.valid(), "{}: finished twice", state_->where());
  const std::string failed = state_->where() + ": libhdf5 could not complete it; nothing was kept";
  check(H5Fflush(state_->file, H5F_SCOPE_GLOBAL) >= 0, failed);
  check(state_->file.close(), failed);
  const std::string_view bytes = state_->image.bytes();
  require(!bytes.empty(), "{}", failed);
  state_->output.write(bytes);
  state_->output.commit();
}

}  // namespace costate
