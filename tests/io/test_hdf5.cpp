// HDF5: round trips, foreign layouts, attributes, damage.
#include <boost/test/unit_test.hpp>

#include <hdf5.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <tuple>

#include "core/memory.h"
#include "io/hdf5.h"
#include "io_test.h"

using namespace costate;
using namespace costate::io_test;

namespace {

void read_all(const fs::path& path) {
  const Hdf5Reader file(path);
  static_cast<void>(file.text("", "config"));
  static_cast<void>(file.number("", "n"));
  for (const auto& name : file.datasets()) {
    static_cast<void>(file.read(name));
    static_cast<void>(file.text(name, "dtype"));
  }
}

// A dataset written by plain libhdf5 in a type of the test's choice.
void write_foreign(const fs::path& path, hid_t stored, hid_t memory, const void* data, std::vector<hsize_t> dims,
                   hid_t creation = H5P_DEFAULT) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
  const hid_t set = H5Dcreate2(file, "a", stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  BOOST_REQUIRE(set >= 0);
  if (data != nullptr) BOOST_REQUIRE(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Dclose(set);
  H5Sclose(space);
  H5Fclose(file);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hdf5)

BOOST_AUTO_TEST_CASE(round_trip_of_every_dtype_rank_and_packing) {
  const Scratch dir;
  for (const bool compress : {false, true}) {
    std::vector<std::pair<std::string, Tensor>> in;
    for (const auto dtype : {DType::f32, DType::f64, DType::bf16, DType::i32}) {
      int serial = 0;
      for (const Shape& shape :
           {Shape{}, Shape{0}, Shape{3}, Shape{40, 30}, Shape{1, 2, 1, 2, 1, 3}, Shape{4, 0, 2}, Shape{300000}})
        in.emplace_back(fmt::format("weights/{}.{}/x", name_of(dtype), serial++), ramp(shape, dtype));
    }
    Hdf5Writer out(dir / "x.h5");
    for (const auto& [name, tensor] : in) out.write(name, tensor, compress);
    out.finish();
    const Hdf5Reader file(dir / "x.h5");
    BOOST_CHECK_EQUAL(file.datasets().size(), in.size());
    BOOST_CHECK(std::is_sorted(file.datasets().begin(), file.datasets().end()));
    for (const auto& [name, tensor] : in) {
      BOOST_CHECK_MESSAGE(same_bits(file.read(name), tensor), name);
      BOOST_CHECK(file.shape(name) == tensor.shape());
      BOOST_CHECK(file.dtype(name) == tensor.dtype());
    }
  }
}

BOOST_AUTO_TEST_CASE(attributes) {
  const Scratch dir;
  Hdf5Writer out(dir / "x.h5");
  const std::string config(200000, 'c');  // above the 64 KB that an object header holds
  out.write("g/a", ramp({2}, DType::f32));
  out.attribute("", "config", config);
  out.attribute("", "empty", "");
  out.attribute("", "n", 7);
  out.attribute("g", "x", 0.1);
  out.attribute("g/a", "list", std::vector<double>{1, 2.5});
  out.attribute("", "seed", std::int64_t{-(1LL << 62) - 1});
  out.attribute("", "last", ~std::uint64_t{0});
  check_error([&] { out.attribute("nothing", "x", 1.0); }, {"there is no 'nothing'"});
  check_error([&] { out.attribute("", "n", 1.0); }, {"attribute 'n'"});
  out.finish();
  const Hdf5Reader file(dir / "x.h5");
  BOOST_CHECK(file.text("", "config") == config);
  BOOST_CHECK(file.text("", "empty") == "");
  BOOST_CHECK(file.number("", "n") == 7.0);
  BOOST_CHECK(file.number("g", "x") == 0.1);
  BOOST_CHECK(file.integer("", "seed") == -(1LL << 62) - 1);
  BOOST_CHECK(file.natural("", "last") == ~std::uint64_t{0});
  BOOST_CHECK(file.natural("", "n") == 7U);
  BOOST_CHECK(!file.natural("", "nothing"));
  check_error([&] { static_cast<void>(file.integer("", "last")); }, {"attribute 'last'", "18446744073709551615"});
  check_error([&] { static_cast<void>(file.natural("", "seed")); }, {"attribute 'seed'", "below 0"});
  BOOST_CHECK(file.numbers("g/a", "list") == (std::vector<double>{1, 2.5}));
  BOOST_CHECK(!file.text("", "nothing") && !file.number("nothing", "n") && !file.numbers("g/nothing", "n"));
  check_error([&] { static_cast<void>(file.text("", "n")); }, {"attribute 'n'", "not one text"});
  check_error([&] { static_cast<void>(file.number("", "config")); }, {"attribute 'config'", "not a number"});
  check_error([&] { static_cast<void>(file.number("g/a", "list")); }, {"holds 2 numbers"});
}

BOOST_AUTO_TEST_CASE(foreign_types) {
  const Scratch dir;
  const fs::path path = dir / "x.h5";
  const std::vector<double> v = {-2.5, 65504, 0x1p-24};
  const auto values = [&] { return Hdf5Reader(path).read("a").to_vector(); };
  const auto kind = [&] { return Hdf5Reader(path).dtype("a"); };
  write_foreign(path, H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, v.data(), {3});
  BOOST_CHECK(values() == v && kind() == DType::f64);
  write_foreign(path, H5T_IEEE_F32BE, H5T_NATIVE_DOUBLE, v.data(), {3});
  BOOST_CHECK(values() == v && kind() == DType::f32);
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  write_foreign(path, half, H5T_NATIVE_DOUBLE, v.data(), {3});
  BOOST_CHECK(values() == v && kind() == DType::f32);
  const std::vector<std::int64_t> n = {-1, 0, 2147483647};
  for (const hid_t type : {H5T_STD_I64LE, H5T_STD_I64BE, H5T_STD_I32BE}) {
    write_foreign(path, type, H5T_NATIVE_INT64, n.data(), {3});
    BOOST_CHECK(values() == (std::vector<double>{-1, 0, 2147483647}) && kind() == DType::i32);
  }
  const std::vector<std::int64_t> big = {0, 2147483648};
  for (const hid_t type : {H5T_STD_I64LE, H5T_STD_U64BE, H5T_STD_U32LE}) {
    write_foreign(path, type, H5T_NATIVE_INT64, big.data(), {2});
    check_error([&] { values(); }, {"dataset 'a'", "2147483648", "index 1"});
  }
  const std::vector<std::uint64_t> huge = {~0ULL};
  write_foreign(path, H5T_STD_U64LE, H5T_NATIVE_UINT64, huge.data(), {1});
  check_error([&] { values(); }, {"18446744073709551615"});
  const hid_t boolean = H5Tenum_create(H5T_NATIVE_INT8);
  std::int8_t no = 0, yes = 1;
  H5Tenum_insert(boolean, "FALSE", &no);
  H5Tenum_insert(boolean, "TRUE", &yes);
  const std::vector<std::int8_t> flags = {1, 0, 1};
  write_foreign(path, boolean, boolean, flags.data(), {3});
  BOOST_CHECK(values() == (std::vector<double>{1, 0, 1}) && kind() == DType::i32);
  const hid_t chars = H5Tcopy(H5T_C_S1);
  write_foreign(path, chars, chars, "x", {1});
  check_error([&] { values(); }, {"dataset 'a'", "not a dataset of numbers"});
  write_foreign(path, H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, v.data(), {1, 1, 1, 1, 1, 1, 3});
  check_error([&] { values(); }, {"dataset 'a'", "rank 7"});
}

// What a few bytes claim must not be allocated; what lies in other files must not be read.
BOOST_AUTO_TEST_CASE(claims_and_other_files_are_refused) {
  const Scratch dir;
  const fs::path path = dir / "x.h5";
  const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[] = {1024};
  H5Pset_chunk(chunked, 1, chunk);
  write_foreign(path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, nullptr, {1ULL << 40}, chunked);
  check_error([&] { static_cast<void>(Hdf5Reader(path).read("a")); }, {"dataset 'a'", "more than a file of"});
  write_foreign(path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, nullptr, {5000}, chunked);
  BOOST_CHECK(Hdf5Reader(path).read("a").to_vector() == std::vector<double>(5000, 0.0));  // sparse: the fill value
  const hid_t external = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(external, "/etc/hostname", 0, 16);
  write_foreign(path, H5T_STD_U8LE, H5T_NATIVE_UINT8, nullptr, {4}, external);
  check_error([&] { static_cast<void>(Hdf5Reader(path).read("a")); }, {"dataset 'a'", "other files"});
  const hid_t file = H5Fcreate((dir / "links.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_external(path.c_str(), "a", file, "outside", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_hard(file, "/", file, "again", H5P_DEFAULT, H5P_DEFAULT);  // a cycle
  H5Fclose(file);
  const Hdf5Reader links(dir / "links.h5");
  BOOST_CHECK(links.datasets().empty());
  BOOST_CHECK(!links.contains("outside") && !links.text("outside", "x"));
}

BOOST_AUTO_TEST_CASE(wrong_files_and_names) {
  const Scratch dir;
  write_file(dir / "text", "hello, this is no HDF5 file at all");
  check_error([&] { Hdf5Reader(dir / "text"); }, {"text", "not an HDF5 file"});
  check_error([&] { Hdf5Reader(dir / "none"); }, {"none", "no such file"});
  check_error([&] { Hdf5Reader(dir.folder()); }, {"not a regular file"});
  check_error([&] { Hdf5Writer(dir / "no" / "x.h5"); }, {"cannot create"});
  Hdf5Writer out(dir / "x.h5");
  out.write("a", ramp({2}, DType::f32));
  check_error([&] { out.write("a", ramp({2}, DType::f32)); }, {"dataset 'a'", "name taken"});
  for (const char* bad : {"", "/a", "a/", "a//b", "./b", "a/."})
    check_error([&] { out.write(bad, ramp({2}, DType::f32)); }, {"not a valid name"});
  out.finish();
  check_error([&] { out.write("b", ramp({2}, DType::f32)); }, {"after finish"});
  check_error([&] { out.finish(); }, {"finished twice"});
  check_error([&] { static_cast<void>(Hdf5Reader(dir / "x.h5").read("b")); },
              {"dataset 'b' is missing", "the first is a"});
}

BOOST_AUTO_TEST_CASE(nothing_is_left_without_finish_and_files_are_reproducible) {
  const Scratch dir;
  {
    Hdf5Writer out(dir / "x.h5");
    out.write("a", ramp({2000}, DType::f32));
  }
  BOOST_CHECK_EQUAL(dir.files(), 0U);
  const auto make = [&](const char* name) {
    Hdf5Writer out(dir / name);
    out.write("g/a", ramp({2000}, DType::f32), true);
    out.attribute("", "config", "{}");
    out.finish();
  };
  make("x.h5");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // past the resolution of time stamps
  make("y.h5");
  BOOST_CHECK(read_text(dir / "x.h5") == read_text(dir / "y.h5"));
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_an_error_and_leaves_nothing) {
  const Scratch dir;
  rlimit old{};
  BOOST_REQUIRE_EQUAL(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t limit : {1U, 600U, 3000U, 100000U, 1U << 20}) {
    rlimit low = old;
    low.rlim_cur = limit;
    BOOST_REQUIRE_EQUAL(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (const bool compress : {false, true}) {
      check_error(
          [&] {
            Hdf5Writer out(dir / "x.h5");
            for (int i = 0; i < 40; ++i)
              out.write(fmt::format("g/{}", i), Tensor::from(std::vector<double>(20000, i), {20000}), compress);
            out.attribute("", "config", std::string(1200000, 'x'));
            out.finish();
          },
          {"x.h5"});
    }
    setrlimit(RLIMIT_FSIZE, &old);
    BOOST_CHECK_EQUAL(dir.files(), 0U);
  }
  std::signal(SIGXFSZ, handler);
  Hdf5Writer out(dir / "x.h5");  // the library still works afterwards
  out.write("a", ramp({2}, DType::f32));
  out.finish();
  BOOST_CHECK_EQUAL(Hdf5Reader(dir / "x.h5").datasets().size(), 1U);
}

BOOST_AUTO_TEST_CASE(damaged_files_never_crash) {
  const Scratch dir;
  for (const bool compress : {false, true}) {
    Hdf5Writer out(dir / "x.h5");
    out.write("g/a", ramp({300}, DType::bf16), compress);
    out.write("b", ramp({2, 3}, DType::f32));
    out.write("c", ramp({}, DType::i32));
    out.attribute("", "config", "{}");
    out.attribute("", "n", 7);
    out.finish();
    const auto bytes = read_text(dir / "x.h5");
    damage(dir / "y.h5", bytes, [&] { read_all(dir / "y.h5"); });
  }
}

// The oldest format has no checksums, and libhdf5 1.10 itself crashes on some of these: the child process takes the
// blow.
BOOST_AUTO_TEST_CASE(damaged_files_of_the_old_format_never_crash) {
  const Scratch dir;
  const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[] = {2};
  H5Pset_chunk(chunked, 1, chunk);
  H5Pset_deflate(chunked, 6);
  const std::vector<float> v = {1, 2, 3};
  write_foreign(dir / "x.h5", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, v.data(), {3}, chunked);
  BOOST_CHECK(Hdf5Reader(dir / "x.h5").read("a").to_vector() == (std::vector<double>{1, 2, 3}));
  damage(
      dir / "y.h5", read_text(dir / "x.h5"), [&] { read_all(dir / "y.h5"); }, {0xff}, 7);
}

BOOST_AUTO_TEST_CASE(the_programs_own_settings_of_libhdf5_stay) {
  const Scratch dir;
  const auto settings = [] {
    unsigned plugins = 0;
    H5E_auto2_t printer = nullptr;
    void* data = nullptr;
    H5PLget_loading_state(&plugins);
    H5Eget_auto2(H5E_DEFAULT, &printer, &data);
    return std::make_tuple(plugins, printer, data);
  };
  int own = 0;
  H5open();
  H5PLset_loading_state(1);
  const auto count = [](hid_t, void* calls) { return ++*static_cast<int*>(calls), herr_t{0}; };
  H5Eset_auto2(H5E_DEFAULT, count, &own);
  const auto before = settings();
  BOOST_CHECK(std::get<2>(before) == &own);
  Hdf5Writer out(dir / "x.h5");
  out.write("g/a", ramp({3}, DType::f32));
  out.finish();
  read_all(dir / "x.h5");
  check_error([&] { static_cast<void>(Hdf5Reader(dir / "x.h5").read("b")); }, {"b"});
  BOOST_CHECK(settings() == before);
  BOOST_CHECK_EQUAL(own, 0);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

BOOST_AUTO_TEST_CASE(files_of_the_old_format_are_read_while_others_take_memory) {
  const Scratch dir;
  const std::vector<float> v = {1, 2, 3};
  write_foreign(dir / "x.h5", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, v.data(), {3});
  std::atomic<bool> done{false};
  std::vector<std::thread> busy(3);
  for (auto& thread : busy)
    thread = std::thread([&] {
      while (!done) static_cast<void>(memory_use());
    });
  for (int i = 0; i < 40; ++i) BOOST_CHECK_NO_THROW(read_all(dir / "x.h5"));
  done = true;
  for (auto& thread : busy) thread.join();
}

BOOST_AUTO_TEST_SUITE_END()
