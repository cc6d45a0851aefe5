// HDF5 in: the list of datasets and their values.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <system_error>

#include "core/memory.h"
#include "io/hdf5.h"
#include "io/hdf5_attribute.h"
#include "io/hdf5_handle.h"
#include "io/hdf5_probe.h"
#include "io/hdf5_types.h"

namespace costate {
namespace {

using hdf5::check;
using hdf5::Handle;
using hdf5::Lock;

constexpr std::size_t max_objects = 1'000'000;
constexpr std::size_t max_depth = 64;
constexpr std::int64_t max_ratio = 1032;                       // what deflate can pack into one byte
constexpr std::int64_t small_enough = std::int64_t{64} << 20;  // below this a size needs no justification

struct Link {
  std::string name;
  bool hard;
};

herr_t collect_link(hid_t, const char* name, const H5L_info_t* info, void* out) {
  try {
    auto& links = *static_cast<std::vector<Link>*>(out);
    if (links.size() >= max_objects) return -1;
    links.push_back({name, info->type == H5L_TYPE_HARD});
  } catch (...) {
    return -1;  // out of memory; must not pass through C
  }
  return 0;
}

// Walks the groups with its own stack; each group is entered once, so links that form a cycle end.
class Lister {
 public:
  Lister(hid_t file, std::string where) : file_(file), where_(std::move(where)) {}

  std::vector<std::string> run() {
    enter("/", "");
    while (!todo_.empty()) {
      const std::string group = std::move(todo_.back());
      todo_.pop_back();
      list(group);
    }
    std::sort(found_.begin(), found_.end());
    return std::move(found_);
  }

 private:
  void list(const std::string& group) {
    const Handle id = check(H5Gopen2(file_, group.empty() ? "/" : group.c_str(), H5P_DEFAULT), H5Gclose,
                            fmt::format("{}: group '{}' is damaged", where_, group));
    std::vector<Link> links;
    hsize_t position = 0;
    check(H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, &position, collect_link, &links) >= 0,
          fmt::format("{}: group '{}' is damaged", where_, group));
    for (const auto& link : links)
      if (link.hard) enter(link.name, group);
  }

  void enter(const std::string& name, const std::string& group) {
    const std::string path = name == "/" ? "" : group.empty() ? name : group + "/" + name;
    require(++count_ <= max_objects, "{}: has more than {} objects", where_, max_objects);
    require(static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) < max_depth,
            "{}: groups are nested more than {} deep", where_, max_depth);
    H5O_info_t info;
    check(H5Oget_info_by_name2(file_, path.empty() ? "/" : path.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0,
          fmt::format("{}: object '{}' is damaged", where_, path));
    if (info.type == H5O_TYPE_DATASET)
      found_.push_back(path);
    else if (info.type == H5O_TYPE_GROUP && seen_.insert(info.addr).second)
      todo_.push_back(path);
  }

  hid_t file_;
  std::string where_;
  std::set<haddr_t> seen_;
  std::vector<std::string> todo_, found_;
  std::size_t count_ = 0;
};

bool marked_bf16(hid_t set, const std::string& where) {
  return hdf5::read_text(set, "dtype", where).value_or("") == "bf16";
}

Element element_in(hid_t set, const std::string& where) {
  const Handle type = check(H5Dget_type(set), H5Tclose, where);
  const Element element = hdf5::element_of(type, where);
  const bool marked = element == Element::u16 && H5Aexists(set, "dtype") > 0 && marked_bf16(set, where);
  return marked ? Element::bf16 : element;
}

// A file may claim any size in a few bytes; what it claims must be covered by what it holds.
void check_size(hid_t set, const Shape& shape, std::int64_t file_size, const std::string& where) {
  const Handle type = check(H5Dget_type(set), H5Tclose, where);
  const Handle creation = check(H5Dget_create_plist(set), H5Pclose, where);
  const H5D_layout_t layout = H5Pget_layout(creation);
  require(layout != H5D_VIRTUAL && H5Pget_external_count(creation) <= 0,
          "{}: its data lie in other files; copy them in, for example with h5repack", where);
  const auto stored = static_cast<std::int64_t>(H5Dget_storage_size(set));
  const auto element = static_cast<std::int64_t>(H5Tget_size(type));
  const bool filtered = H5Pget_nfilters(creation) > 0;
  const std::int64_t need = shape.size();
  // sparse datasets hold less than their shape says and are filled up: allowed while small
  const std::int64_t limit =
      std::max((filtered ? file_size * max_ratio : file_size) / std::max<std::int64_t>(element, 1), small_enough / 8);
  require(need <= limit && stored <= std::max(file_size, small_enough),
          "{}: claims shape {}, more than a file of {} bytes can hold; the file is damaged", where, to_string(shape),
          file_size);
}

Shape shape_of(hid_t set, const std::string& where) {
  const Handle space = check(H5Dget_space(set), H5Sclose, where);
  require(H5Sget_simple_extent_type(space) != H5S_NULL, "{}: is empty (a null dataspace)", where);
  const int rank = H5Sget_simple_extent_ndims(space);
  check(rank >= 0, where);
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  check(rank == 0 || H5Sget_simple_extent_dims(space, dims.data(), nullptr) >= 0, where);
  std::vector<std::int64_t> extents;
  for (const auto d : dims) {
    require(std::in_range<std::int64_t>(d), "{}: an extent is too large", where);
    extents.push_back(static_cast<std::int64_t>(d));
  }
  return checked_shape(extents, where);
}

}  // namespace

struct Hdf5Reader::State {
  std::filesystem::path path;
  Handle file;
  std::vector<std::string> names;
  std::int64_t size = 0;
  std::map<std::string, std::string, std::less<>> broken;  ///< datasets that a child failed to read, and its message

  bool tried = false;  ///< have the values been read once where that cannot crash this process?

  void load();         ///< opens the file and lists it
  void try_listing();  ///< the same and a look at every dataset, first in a child process
  void try_values();   ///< reads everything in a child process
  void try_each(const std::function<void(const std::string& name)>& look);
  [[nodiscard]] ElementView view(std::string_view name);

  [[nodiscard]] std::string where() const { return fmt::format("HDF5 '{}'", path.string()); }
  [[nodiscard]] std::string where(std::string_view name) const {
    return fmt::format("{}: dataset '{}'", where(), name);
  }
  [[nodiscard]] bool contains(std::string_view name) const {
    return std::binary_search(names.begin(), names.end(), name);
  }

  [[nodiscard]] Handle open(std::string_view name) const {
    require(contains(name), "{} is missing; the file has {} datasets{}{}", where(name), names.size(),
            names.empty() ? "" : ", the first is ", names.empty() ? "" : names.front());
    if (const auto it = broken.find(name); it != broken.end()) throw Error(it->second);
    return check(
        H5Dopen2(file, std::string(name).c_str(), H5P_DEFAULT), H5Dclose,
        where(name) + " is damaged, or of a later HDF5 (h5py writes what can be read here with libver = 'v110')");
  }
  // Object by path, or an invalid handle when it is not there.
  [[nodiscard]] Handle object(std::string_view name) const;

  /// As one of hdf5_attribute.h reads it; nullopt where the object is not there.
  template <class T>
  std::optional<T> attribute(std::string_view of, const std::string& name,
                             std::optional<T> (*read)(hid_t, const std::string&, const std::string&)) const {
    const Lock lock;
    const Handle id = object(of);
    if (!id.valid()) return std::nullopt;
    return read(id, name, fmt::format("{}: attribute '{}' of '{}'", where(), name, of));
  }
};

Handle Hdf5Reader::State::object(std::string_view name) const {
  if (name.empty() || name == "/") return check(H5Oopen(file, "/", H5P_DEFAULT), H5Oclose, where());
  if (contains(name)) return open(name);
  // a group exists exactly if a listed dataset lies below it, or libhdf5 knows it through hard links alone
  std::string path;
  for (std::size_t at = 0; at != std::string_view::npos;) {
    const auto slash = name.find('/', at);
    path = std::string(name.substr(0, slash));
    at = slash == std::string_view::npos ? slash : slash + 1;
    H5L_info_t info;
    if (path.empty() || H5Lexists(file, path.c_str(), H5P_DEFAULT) <= 0) return {};
    if (H5Lget_info(file, path.c_str(), &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD) return {};
  }
  return check(H5Oopen(file, path.c_str(), H5P_DEFAULT), H5Oclose,
               fmt::format("{}: object '{}' is damaged", where(), name));
}

ElementView Hdf5Reader::State::view(std::string_view name) {
  if (!tried) try_values();
  const std::string where = State::where(name);
  const Handle set = open(name);
  const Element element = element_in(set, where);
  const Shape shape = shape_of(set, where);
  check_size(set, shape, size, where);
  const std::size_t bytes = static_cast<std::size_t>(shape.size()) * size_of(element);
  const auto room = std::make_shared<const Block>(bytes, Device::cpu);
  const Handle memory = hdf5::memory_type(element, where);
  check(bytes == 0 || H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, room->data()) >= 0,
        where + ": reading failed; the file is damaged or uses a filter libhdf5 lacks");
  return {element, shape, {static_cast<const char*>(room->data()), bytes}, {}, room};
}

void Hdf5Reader::State::load() {
  const Handle access = check(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, where());
  check(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0, where());
  file = check(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose,
               where() + ": cannot be opened; is it readable and whole?");
  names = Lister(file, where()).run();
}

void Hdf5Reader::State::try_each(const std::function<void(const std::string&)>& look) {
  const auto work = [&](const hdf5::Report& report) {
    // not the parent's: a child shares its place in the file
    static_cast<void>(file.close());
    load();
    hdf5::try_attributes(object(""));
    for (std::size_t i = 0; i < names.size(); ++i) {
      try {
        look(names[i]);
      } catch (const std::exception& e) {  // bad_alloc too: the child's memory is bounded
        report(static_cast<std::uint32_t>(i), e.what());
      }
    }
  };
  const auto failures = hdf5::probe(work, where(), static_cast<std::uint64_t>(size));
  if (const auto all = failures.find(hdf5::whole_file); all != failures.end()) throw Error(all->second);
  if (names.empty()) load();
  for (const auto& [index, message] : failures)
    if (index < names.size()) broken.emplace(names[index], message);
}

void Hdf5Reader::State::try_listing() {
  try_each([this](const std::string& name) {
    const Handle set = open(name);
    hdf5::try_attributes(set);
    static_cast<void>(element_in(set, where(name)));
    static_cast<void>(shape_of(set, where(name)));
  });
}

void Hdf5Reader::State::try_values() {
  tried = true;
  try_each([this](const std::string& name) { static_cast<void>(view(name)); });
}

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  const Lock lock;
  state_->path = path;
  const std::string where = state_->where();
  std::error_code code;
  require(std::filesystem::exists(path, code), "{}: there is no such file", where);
  require(std::filesystem::is_regular_file(path, code), "{}: is not a regular file", where);
  state_->size = static_cast<std::int64_t>(std::filesystem::file_size(path, code));
  require(H5Fis_hdf5(path.c_str()) != 0, "{}: is not an HDF5 file (no signature)", where);
  state_->tried = !hdf5::needs_probe(path);
  if (state_->tried)
    state_->load();
  else
    state_->try_listing();
}

Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader& Hdf5Reader::operator=(Hdf5Reader&&) noexcept = default;
Hdf5Reader::~Hdf5Reader() = default;

const std::filesystem::path& Hdf5Reader::path() const { return state_->path; }
bool Hdf5Reader::contains(std::string_view name) const { return state_->contains(name); }
const std::vector<std::string>& Hdf5Reader::datasets() const { return state_->names; }

Shape Hdf5Reader::shape(std::string_view name) const {
  const Lock lock;
  const Handle set = state_->open(name);
  return shape_of(set, state_->where(name));
}

Element Hdf5Reader::element(std::string_view name) const {
  const Lock lock;
  return element_in(state_->open(name), state_->where(name));
}

DType Hdf5Reader::dtype(std::string_view name) const { return dtype_of(element(name), state_->where(name)); }

ElementView Hdf5Reader::view(std::string_view name) const {
  const Lock lock;
  return state_->view(name);
}

Tensor Hdf5Reader::read(std::string_view name) const { return read_elements(view(name), state_->where(name)); }

std::optional<std::string> Hdf5Reader::text(std::string_view object, const std::string& attribute) const {
  return state_->attribute(object, attribute, hdf5::read_text);
}

std::optional<std::vector<double>> Hdf5Reader::numbers(std::string_view object, const std::string& attribute) const {
  return state_->attribute(object, attribute, hdf5::read_numbers);
}

std::optional<double> Hdf5Reader::number(std::string_view object, const std::string& attribute) const {
  const auto all = numbers(object, attribute);
  if (!all) return std::nullopt;
  require(all->size() == 1, "{}: attribute '{}' of '{}' holds {} numbers; one is wanted", state_->where(), attribute,
          object, all->size());
  return all->front();
}

std::optional<std::int64_t> Hdf5Reader::integer(std::string_view object, const std::string& attribute) const {
  return state_->attribute(object, attribute, hdf5::read_integer);
}

std::optional<std::uint64_t> Hdf5Reader::natural(std::string_view object, const std::string& attribute) const {
  return state_->attribute(object, attribute, hdf5::read_natural);
}

}  // namespace costate
