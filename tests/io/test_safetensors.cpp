// safetensors: round trips, every dtype, and headers that lie.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>

#include "io/safetensors.h"
#include "io_test.h"
#include "torch_bytes.h"

using namespace costate;
using namespace costate::io_test;

namespace {

std::string file_of(const std::string& header, const std::string& data) {
  return little(header.size(), 8) + header + data;
}

void read_all(const fs::path& path) {
  const auto file = Safetensors::open(path);
  for (const auto& e : file.entries()) static_cast<void>(file.read(e.name));
}

void refuse(const std::string& header, const std::string& data, const std::vector<std::string>& parts) {
  const Scratch dir;
  overwrite(dir / "x.safetensors", file_of(header, data));
  check_error([&] { read_all(dir / "x.safetensors"); }, parts);
}

std::vector<double> read_one(const std::string& dtype, const std::string& bytes, std::size_t count) {
  const Scratch dir;
  overwrite(dir / "x", file_of(fmt::format(R"({{"a":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", dtype,
                                           count, bytes.size()),
                               bytes));
  return Safetensors::open(dir / "x").read("a").to_vector();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(safetensors)

BOOST_AUTO_TEST_CASE(round_trip_of_every_dtype_and_rank) {
  const Scratch dir;
  std::vector<std::pair<std::string, Tensor>> in;
  for (const auto dtype : {DType::f32, DType::f64, DType::bf16, DType::i32}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{3}, Shape{2, 3}, Shape{1, 2, 1, 2, 1, 3}, Shape{4, 0, 2}})
      in.emplace_back(std::string(name_of(dtype)) + to_string(shape), ramp(shape, dtype));
  }
  write_safetensors(dir / "x", in, {{"format", "pt"}, {"note", "\u00fc"}});
  const auto file = Safetensors::open(dir / "x");
  BOOST_CHECK_EQUAL(file.entries().size(), in.size());
  BOOST_CHECK_EQUAL(file.metadata().at("note"), "\u00fc");
  for (const auto& [name, tensor] : in) {
    BOOST_CHECK_MESSAGE(same_bits(file.read(name), tensor), name);
    BOOST_CHECK(file.dtype(name) == tensor.dtype());
  }
  std::reverse(in.begin(), in.end());
  write_safetensors(dir / "y", in, {{"format", "pt"}, {"note", "\u00fc"}});
  BOOST_CHECK_MESSAGE(read_text(dir / "x") == read_text(dir / "y"), "the same tensors give the same bytes");
  write_safetensors(dir / "empty", {});
  BOOST_CHECK(Safetensors::open(dir / "empty").entries().empty());
}

BOOST_AUTO_TEST_CASE(every_dtype_of_the_format) {
  const std::vector<double> minus_one = {-1}, one = {1};
  BOOST_CHECK(read_one("F64", little(0xbff0000000000000U, 8), 1) == minus_one);
  BOOST_CHECK(read_one("F32", little(0xbf800000U, 4), 1) == minus_one);
  BOOST_CHECK(read_one("F16", little(0xbc00, 2), 1) == minus_one);
  BOOST_CHECK(read_one("BF16", little(0xbf80, 2), 1) == minus_one);
  BOOST_CHECK(read_one("I64", little(~0ULL, 8), 1) == minus_one);
  BOOST_CHECK(read_one("I32", little(~0ULL, 4), 1) == minus_one);
  BOOST_CHECK(read_one("I16", little(~0ULL, 2), 1) == minus_one);
  BOOST_CHECK(read_one("I8", little(~0ULL, 1), 1) == minus_one);
  BOOST_CHECK(read_one("U64", little(1, 8), 1) == one);
  BOOST_CHECK(read_one("U32", little(1, 4), 1) == one);
  BOOST_CHECK(read_one("U16", little(65535, 2), 1) == std::vector<double>{65535});
  BOOST_CHECK(read_one("U8", little(255, 1), 1) == std::vector<double>{255});
  BOOST_CHECK(read_one("BOOL", little(0x0100, 2), 2) == (std::vector<double>{0, 1}));
  check_error([] { read_one("F8_E4M3", "x", 1); }, {"tensor 'a'", "F8_E4M3", "not supported"});
  check_error([] { read_one("F9", "x", 1); }, {"tensor 'a'", "F9", "unknown"});
  check_error([] { read_one("I64", little(1ULL << 31, 8), 1); }, {"tensor 'a'", "2147483648", "index 0"});
  check_error([] { read_one("U32", little(0, 4) + little(1U << 31, 4), 2); }, {"2147483648", "index 1"});
}

BOOST_AUTO_TEST_CASE(half_precision_is_exact) {
  // every f16 against its value from the definition
  std::string bytes;
  for (int i = 0; i < 65536; ++i) bytes += little(static_cast<std::uint64_t>(i), 2);
  const auto v = read_one("F16", bytes, 65536);
  int wrong = 0;
  for (int i = 0; i < 65536; ++i) {
    const int e = (i >> 10) & 31, m = i & 1023;
    const double sign = i >= 32768 ? -1 : 1;
    const double want = sign * (e == 0 ? std::ldexp(m, -24) : std::ldexp(1024 + m, e - 25));
    const double got = v[static_cast<std::size_t>(i)];
    const bool ok = e < 31   ? got == want && std::signbit(got) == (sign < 0)
                    : m != 0 ? std::isnan(got)
                             : std::isinf(got);
    wrong += ok ? 0 : 1;
  }
  BOOST_CHECK_EQUAL(wrong, 0);
}

BOOST_AUTO_TEST_CASE(headers_that_lie_are_refused) {
  const std::string data(8, 'x');
  const auto entry = [](const std::string& shape, const std::string& offsets) {
    return R"({"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  refuse("{", data, {"not valid JSON"});
  refuse("[]", data, {"not a JSON object"});
  refuse(R"({"a":)" + entry("[2]", "[0,8]") + R"(,"a":)" + entry("[2]", "[0,8]") + "}", data, {"'a' occurs twice"});
  refuse(R"({"a":)" + entry("[2]", "[0,12]") + "}", data, {"tensor 'a'", "needs 8 bytes", "12"});
  refuse(R"({"a":)" + entry("[3]", "[0,12]") + "}", data, {"describes 12 bytes", "has 8"});
  refuse(R"({"a":)" + entry("[1]", "[0,4]") + "}", data, {"describes 4 bytes", "has 8"});
  refuse(R"({"a":)" + entry("[1]", "[0,4]") + R"(,"b":)" + entry("[2]", "[0,8]") + "}", data, {"begins at byte 0"});
  refuse(R"({"a":)" + entry("[1]", "[4,8]") + "}", data, {"begins at byte 4"});
  refuse(R"({"a":)" + entry("[4294967296,4294967296]", "[0,0]") + "}", data, {"too many elements"});
  refuse(R"({"a":)" + entry("[9223372036854775807,9223372036854775807,0]", "[0,0]") + "}", data, {"too many elements"});
  refuse(R"({"a":)" + entry("[1,1,1,1,1,1,2]", "[0,8]") + "}", data, {"rank 7"});
  refuse(R"({"a":)" + entry("[-2]", "[0,8]") + "}", data, {"not negative"});
  refuse(R"({"a":)" + entry("[2.0]", "[0,8]") + "}", data, {"whole numbers"});
  refuse(R"({"a":)" + entry("[2]", "[8,0]") + "}", data, {"[begin, end]"});
  refuse(R"({"a":)" + entry("2", "[0,8]") + "}", data, {"list of numbers"});
  refuse(R"({"a":{"dtype":"F32","shape":[2]}})", data, {"'data_offsets' is missing"});
  refuse(R"({"a":)" + std::string(100000, '[') + "}", data, {"nested more than"});
  refuse(R"({"__metadata__":{"a":1}})", "", {"not text"});
  const Scratch dir;
  overwrite(dir / "x", little(1ULL << 40, 8) + "{}");
  check_error([&] { read_all(dir / "x"); }, {"claims 1099511627776 bytes", "the file has 2"});
  overwrite(dir / "x", little(~0ULL, 8) + "{}");
  check_error([&] { read_all(dir / "x"); }, {"claims 18446744073709551615 bytes"});
  check_error([&] { read_all(dir / "none"); }, {"none", "No such file"});
  check_error([&] { static_cast<void>(Safetensors::open(dir.folder())); }, {"not a regular file"});
}

BOOST_AUTO_TEST_CASE(damaged_files_never_crash) {
  const Scratch dir;
  write_safetensors(dir / "x",
                    {{"a", ramp({2, 3}, DType::f32)}, {"b", ramp({3}, DType::bf16)}, {"c", ramp({}, DType::i32)}},
                    {{"format", "pt"}});
  const auto bytes = read_text(dir / "x");
  damage(dir / "y", bytes, [&] { read_all(dir / "y"); });
}

BOOST_AUTO_TEST_CASE(writing_refuses_what_the_format_cannot_hold) {
  const Scratch dir;
  const Tensor t = ramp({1}, DType::f32);
  check_error([&] { write_safetensors(dir / "x", {{"a", t}, {"a", t}}); }, {"'a' is given twice"});
  check_error([&] { write_safetensors(dir / "x", {{"__metadata__", t}}); }, {"reserved"});
  check_error([&] { write_safetensors(dir / "x", {{"\xff", t}}); }, {"not UTF-8"});
  BOOST_CHECK_EQUAL(dir.files(), 0U);
}

BOOST_AUTO_TEST_SUITE_END()
