// What a file holds is written again bit for bit, in every element type, and mapped files are read without a copy.
#include <boost/test/unit_test.hpp>

#include "core/memory.h"
#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "io/safetensors.h"
#include "io_test.h"
#include "torch_bytes.h"

using namespace costate;
using namespace costate::io_test;

namespace {

struct Stored {
  Element element;
  const char* storage;  ///< PyTorch's
};
const std::vector<Stored> kinds = {{Element::f64, "DoubleStorage"}, {Element::f32, "FloatStorage"},
                                   {Element::f16, "HalfStorage"},   {Element::bf16, "BFloat16Storage"},
                                   {Element::i64, "LongStorage"},   {Element::i32, "IntStorage"},
                                   {Element::i16, "ShortStorage"},  {Element::i8, "CharStorage"},
                                   {Element::u8, "ByteStorage"},    {Element::boolean, "BoolStorage"}};

/// Six elements that no conversion would leave alone: NaNs with payloads, 64-bit integers beyond doubles.
std::string awkward_bytes(Element e) {
  std::string bytes;
  for (std::size_t i = 0; i < 6 * size_of(e); ++i)
    bytes += static_cast<char>(e == Element::boolean ? i % 2 : 0x7f + 37 * i);
  return bytes;
}

std::string bytes_of(const ElementView& v) {
  std::string room;
  return std::string(dense_bytes(v, room, "test"));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bits)

BOOST_AUTO_TEST_CASE(every_type_goes_through_every_file_unchanged) {
  const Scratch dir;
  std::vector<std::pair<std::string, std::string>> items, storages;
  for (const auto& [element, name] : kinds) {
    const std::string key = std::string(name_of(element));
    items.emplace_back(key, tensor(storage(name, key, 6), 0, {2, 3}, {3, 1}));
    items.emplace_back(key + ".turned", tensor(storage(name, key, 6), 0, {3, 2}, {1, 3}));
    storages.emplace_back(key, awkward_bytes(element));
  }
  write_file(dir / "a.pt", torch_zip(dict(items), storages));
  const auto a = Checkpoint::open(dir / "a.pt");
  std::vector<std::pair<std::string, ElementView>> entries;
  for (const auto& key : a.keys()) entries.emplace_back(key, a.view(key));
  write_safetensors_bits(dir / "b.safetensors", entries);
  const auto b = Checkpoint::open(dir / "b.safetensors");
  for (const bool compress : {false, true}) {
    Hdf5Writer out(dir / "c.h5");
    for (const auto& key : b.keys()) out.write(key, b.view(key), compress);
    out.finish();
    const auto c = Checkpoint::open(dir / "c.h5");
    entries.clear();
    for (const auto& key : c.keys()) entries.emplace_back(key, c.view(key));
    write_safetensors_bits(dir / "d.safetensors", entries);
    BOOST_CHECK(read_text(dir / "b.safetensors", 1 << 20) == read_text(dir / "d.safetensors", 1 << 20));
  }
  for (const auto& [element, name] : kinds) {
    const std::string key = std::string(name_of(element)), bytes = awkward_bytes(element);
    for (const auto* file : {"b.safetensors", "c.h5"}) {
      const auto c = Checkpoint::open(dir / file);
      BOOST_CHECK_MESSAGE(c.view(key).element == element, file << " " << key);
      BOOST_CHECK_MESSAGE(bytes_of(c.view(key)) == bytes, file << " " << key);
      std::string turned;
      const std::size_t w = size_of(element);
      for (const std::size_t i : {0, 3, 1, 4, 2, 5}) turned += bytes.substr(i * w, w);
      BOOST_CHECK_MESSAGE(bytes_of(c.view(key + ".turned")) == turned, file << " " << key);
    }
  }
}

BOOST_AUTO_TEST_CASE(kinds_without_a_width_are_refused_by_name) {
  const Scratch dir;
  check_error(
      [&] {
        write_safetensors_bits(
            dir / "x", std::vector<std::pair<std::string, ElementView>>{{"a", {Element::complex, {1}, "12345678"}}});
      },
      {"complex", "'a'"});
  BOOST_CHECK_EQUAL(dir.files(), 0U);
}

// 5 GB that take no room on the disk: a hole in the file. Opening looks at the header; a tensor is the map itself.
BOOST_AUTO_TEST_CASE(five_gigabytes_are_mapped_and_not_copied) {
  const Scratch dir;
  const std::int64_t big = std::int64_t{5} << 30;
  std::string header = fmt::format(
      R"({{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}},"b":{{"dtype":"F32","shape":[2],"data_offsets":[{},{}]}}}})",
      big / 4, big, big, big + 8);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  write_file(dir / "x", little(header.size(), 8) + header);
  fs::resize_file(dir / "x", 8 + header.size() + static_cast<std::uintmax_t>(big) + 8);
  const std::int64_t before = memory_use().live;
  const auto c = Checkpoint::open(dir / "x");
  const Tensor a = c.read("a");
  BOOST_CHECK(a.shape() == Shape{big / 4});
  BOOST_CHECK_EQUAL(a.data<float>()[big / 4 - 1], 0.0F);
  BOOST_CHECK_EQUAL(memory_use().live, before);
  Tensor writable = a;
  check_error([&] { static_cast<void>(writable.mutable_data<float>()); }, {"immutable"});
}

BOOST_AUTO_TEST_SUITE_END()
