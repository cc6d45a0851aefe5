// PyTorch files: both containers, the restricted unpickler, strides, damage.
#include <boost/test/unit_test.hpp>

#include "io/torch_file.h"
#include "io_test.h"
#include "torch_bytes.h"

using namespace costate;
using namespace costate::io_test;

namespace {

std::string floats(const std::vector<float>& v) { return {reinterpret_cast<const char*>(v.data()), v.size() * 4}; }
const std::string six = floats({0, 1, 2, 3, 4, 5});

std::string plain(const std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& strides,
                  std::int64_t offset = 0) {
  return tensor(storage("FloatStorage", "0", 6), offset, dims, strides);
}

// Reads every tensor directly in the root dictionary.
void read_all(const fs::path& path) {
  const auto file = TorchFile::open(path);
  if (const auto* d = file.root()->as<PickleDict>())
    for (const auto& [k, v] : d->items)
      if (const auto* t = v->as<PickleTensor>()) static_cast<void>(file.read(*t, "x"));
}

Tensor read_one(const std::string& bytes) {
  const Scratch dir;
  overwrite(dir / "x.pt", bytes);
  const auto file = TorchFile::open(dir / "x.pt");
  const auto item = find_item(file.root(), "a");
  BOOST_REQUIRE(item != nullptr && item->as<PickleTensor>() != nullptr);
  return file.read(*item->as<PickleTensor>(), "a");
}
std::vector<double> values_of(const std::string& tensor_body) {
  return read_one(torch_zip(dict({{"a", tensor_body}}), {{"0", six}})).to_vector();
}

Pickle value_of(const std::string& body) { return unpickle(pickle(body), "test"); }
void refuse(const std::string& body, const std::vector<std::string>& parts) {
  check_error([&] { static_cast<void>(unpickle(pickle(body), "test")); }, parts);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(torch_file)

BOOST_AUTO_TEST_CASE(both_containers_and_zip64) {
  const std::string body = dict({{"a", plain({2, 3}, {3, 1})}});
  const Tensor want = Tensor::from({0, 1, 2, 3, 4, 5}, {2, 3}, DType::f32);
  BOOST_CHECK(same_bits(read_one(torch_zip(body, {{"0", six}})), want));
  BOOST_CHECK(same_bits(read_one(torch_zip(body, {{"0", six}}, true)), want));
  BOOST_CHECK(same_bits(read_one(torch_legacy(body, {{{"0", 6}, six}})), want));
}

BOOST_AUTO_TEST_CASE(strides_offsets_and_bounds) {
  using V = std::vector<double>;
  BOOST_CHECK(values_of(plain({3, 2}, {1, 3})) == (V{0, 3, 1, 4, 2, 5}));
  BOOST_CHECK(values_of(plain({2}, {2}, 1)) == (V{1, 3}));
  BOOST_CHECK(values_of(plain({}, {}, 5)) == (V{5}));
  BOOST_CHECK(values_of(plain({3}, {0}, 4)) == (V{4, 4, 4}));
  BOOST_CHECK(values_of(plain({2, 0}, {1, 1})).empty());
  BOOST_CHECK(values_of(plain({2, 1, 3}, {3, 77, 1})) == (V{0, 1, 2, 3, 4, 5}));
  BOOST_CHECK(values_of(plain({2, 2, 1}, {1, 2, 1}, 2)) == (V{2, 4, 3, 5}));
  const auto outside = [](const std::string& t, const char* what) {
    check_error([&] { values_of(t); }, {"tensor 'a'", what});
  };
  outside(plain({7}, {1}), "outside the stored data");
  outside(plain({6}, {1}, 1), "outside the stored data");
  outside(plain({}, {}, 6), "needs more than the stored data");
  outside(plain({}, {}, 7), "begins outside its storage");
  outside(plain({2, 3}, {4, 1}), "outside the stored data");
  outside(plain({2}, {std::int64_t{1} << 62}), "outside the stored data");
  outside(plain({2}, {-1}, 3), "negative stride");
  outside(plain({std::int64_t{1} << 40}, {0}), "repeats");
  outside(plain({std::int64_t{1} << 40, std::int64_t{1} << 40}, {0, 0}), "too many elements");
  outside(plain({-1}, {1}), "negative extent");
  outside(plain({1, 1, 1, 1, 1, 1, 6}, {6, 6, 6, 6, 6, 6, 1}), "rank 7");
}

BOOST_AUTO_TEST_CASE(every_storage_type) {
  const auto one = [](const std::string& type, const std::string& bytes) {
    return read_one(torch_zip(dict({{"a", tensor(storage(type, "0", 1), 0, {1}, {1})}}), {{"0", bytes}}));
  };
  const auto check = [&](const std::string& type, const std::string& bytes, DType dtype, double value) {
    const Tensor t = one(type, bytes);
    BOOST_CHECK_MESSAGE(t.dtype() == dtype && t.item() == value, type);
  };
  check("DoubleStorage", little(0xbff0000000000000U, 8), DType::f64, -1);
  check("FloatStorage", little(0xbf800000U, 4), DType::f32, -1);
  check("HalfStorage", little(0xbc00, 2), DType::f32, -1);
  check("BFloat16Storage", little(0xbf80, 2), DType::bf16, -1);
  check("LongStorage", little(~0ULL, 8), DType::i32, -1);
  check("IntStorage", little(~0ULL, 4), DType::i32, -1);
  check("ShortStorage", little(~0ULL, 2), DType::i32, -1);
  check("CharStorage", little(~0ULL, 1), DType::i32, -1);
  check("ByteStorage", little(~0ULL, 1), DType::i32, 255);
  check("BoolStorage", little(1, 1), DType::i32, 1);
  check_error([&] { one("LongStorage", little(1ULL << 31, 8)); }, {"tensor 'a'", "2147483648"});
  check_error([&] { one("ComplexFloatStorage", little(0, 8)); }, {"tensor 'a'", "complex", "not supported"});
  check_error([&] { one("QInt8Storage", little(0, 1)); }, {"tensor 'a'", "quantised"});
  // _rebuild_tensor_v3 names the type itself
  const std::string v3 = global("torch._utils", "_rebuild_tensor_v3") +
                         tuple({storage("UntypedStorage", "0", 4), number(0), numbers({2}), numbers({1}), "\x89", "N",
                                global("torch", "uint16"), "N"}) +
                         "R";
  BOOST_CHECK(read_one(torch_zip(dict({{"a", v3}}), {{"0", little(0xffff0001U, 4)}})).to_vector() ==
              (std::vector<double>{1, 65535}));
}

BOOST_AUTO_TEST_CASE(foreign_globals_are_refused_by_name) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"os", "system"},         {"posix", "system"},
      {"builtins", "eval"},     {"__builtin__", "exec"},
      {"subprocess", "Popen"},  {"torch", "load"},
      {"torch.hub", "load"},    {"numpy", "load"},
      {"functools", "partial"}, {"torch.nn.modules.linear", "Linear"}};
  for (const auto& [module, name] : bad) {
    refuse(global(module, name) + tuple({text("echo pwned")}) + "R",
           {module + "." + name, "runs no code from checkpoints"});
    refuse(text(module) + text(name) + "\x93" + tuple({text("x")}) + "R", {module + "." + name, "runs no code"});
  }
  const Scratch dir;
  const std::string attack =
      dict({{"a", global("os", "system") + tuple({text("touch " + (dir / "pwned").string())}) + "R"}});
  overwrite(dir / "x.pt", torch_zip(attack, {}));
  check_error([&] { read_all(dir / "x.pt"); }, {"x.pt", "os.system"});
  overwrite(dir / "x.pt", torch_legacy(attack, {}));
  check_error([&] { read_all(dir / "x.pt"); }, {"x.pt", "os.system"});
  BOOST_CHECK(!fs::exists(dir / "pwned"));
  refuse(global("os\nsystem", "x"), {"os.system"});
  refuse(global("a\x01\x1b", "b"), {"a??.b"});
}

BOOST_AUTO_TEST_CASE(values) {
  BOOST_CHECK(*value_of("K\x07").root->as<std::int64_t>() == 7);
  BOOST_CHECK(*value_of(number(-5)).root->as<std::int64_t>() == -5);
  BOOST_CHECK(*value_of("\x8a\x01\xfe").root->as<std::int64_t>() == -2);
  BOOST_CHECK(*value_of(std::string("\x8a\x00", 2)).root->as<std::int64_t>() == 0);
  BOOST_CHECK(*value_of(std::string("G\x3f\xe0\0\0\0\0\0\0", 9)).root->as<double>() == 0.5);
  BOOST_CHECK(*value_of("\x88").root->as<bool>());
  BOOST_CHECK(value_of("\x8a\x09" + std::string(9, 'x')).root->as<PickleBytes>() != nullptr);
  BOOST_CHECK(value_of("]q\x01(K\x01h\x01"
                       "e")
                  .root->as<PickleList>()
                  ->items.size() == 2);  // contains itself
  const Pickle d = value_of(global("collections", "OrderedDict") +
                            tuple({"](](" + text("a") +
                                   "K\x01"
                                   "ee"}) +
                            "R");
  BOOST_CHECK(*find_item(d.root, "a")->as<std::int64_t>() == 1);
  const Pickle n = value_of(global("argparse", "Namespace") + ")\x81" + dict({{"lr", "K\x03"}}) + "b");
  BOOST_CHECK(n.root->as<PickleObject>()->name == "argparse.Namespace");
  BOOST_CHECK(*find_item(n.root->as<PickleObject>()->state, "lr")->as<std::int64_t>() == 3);
  const Pickle e = value_of(global("_codecs", "encode") + tuple({text("a\xc3\xbf"), text("latin1")}) + "R");
  BOOST_CHECK(e.root->as<PickleBytes>()->bytes == "a\xff");
  BOOST_CHECK(
      value_of(global("torch", "Size") + tuple({numbers({2, 3})}) + "R").root->as<PickleTuple>()->items.size() == 2);
}

BOOST_AUTO_TEST_CASE(broken_and_hostile_pickles) {
  refuse("", {"empty stack"});
  refuse("0", {"empty stack"});
  refuse("(", {"empty stack"});
  refuse("t", {"mark"});
  refuse("h\x05", {"recalls what it did not store"});
  refuse("K\x01K\x02s", {"empty stack"});
  refuse("N(K\x01K\x02u", {"not a dictionary"});
  refuse(
      "NK\x01"
      "a",
      {"not a list"});
  refuse("K\x01)R", {"calls something that is not a name"});
  refuse("K\x01Q", {"persistent id is not a storage"});
  refuse("I1\n", {"opcode 0x49"});
  refuse("X\xff\xff\xff\xff", {"ends too early"});
  refuse("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", {"ends too early"});
  refuse(global("torch._utils", "_rebuild_tensor_v2") + tuple({"N", "N", "N", "N"}) + "R", {"no storage"});
  refuse(global("torch._utils", "_rebuild_parameter") + ")R", {"no tensor"});
  check_error([] { static_cast<void>(unpickle("", "test")); }, {"ends too early"});
  check_error([] { static_cast<void>(unpickle("\x80\x09N.", "test")); }, {"unknown protocol"});
  // a nest as deep as the file: read and freed by loops
  const int depth = 1000000;
  BOOST_CHECK(value_of(std::string(depth, ']') + std::string(depth - 1, 'a')).root->as<PickleList>()->items.size() ==
              1);
  // copies of a long list, two bytes each
  std::string many = "](" + std::string(2000000, 'N') + "eq\x01";
  for (int i = 0; i < 100; ++i) many += global("torch", "Size") + "h\x01\x85R";
  refuse(many, {"copies its values too often"});
}

BOOST_AUTO_TEST_CASE(wrong_containers) {
  const Scratch dir;
  const auto refused = [&](const std::string& bytes, const std::vector<std::string>& parts) {
    overwrite(dir / "x.pt", bytes);
    check_error([&] { read_all(dir / "x.pt"); }, parts);
  };
  refused(zip({{"arrays.npy", "x"}}), {"not one of PyTorch"});
  refused(zip({{"a/data.pkl", pickle("N")}, {"a/constants.pkl", pickle(")")}}), {"TorchScript"});
  refused(zip({{"a/data.pkl", pickle("N")}, {"a/byteorder", "big"}}), {"big-endian"});
  refused(zip({{"a/data.pkl", pickle("N")}, {"a/data.pkl", pickle("N")}}), {"occurs twice"});
  refused(torch_zip(dict({{"a", plain({6}, {1})}}), {}), {"storage '0' is not in the file"});
  refused(pickle("N"), {"not a PyTorch checkpoint"});
  refused(pickle("}" + std::string(20, ' ')), {"not a PyTorch checkpoint"});
  refused("", {"not a PyTorch checkpoint"});
  std::string packed = torch_zip(dict({{"a", plain({6}, {1})}}), {{"0", six}});
  packed[packed.find("PK\x01\x02") + 10] = 8;  // of data.pkl: deflated
  refused(packed, {"a/data.pkl", "compressed"});
  std::string wrong = torch_zip(dict({{"a", plain({6}, {1})}}), {{"0", six}});
  wrong[wrong.find(six) + 3] ^= 1;
  refused(wrong, {"a/data/0", "wrong checksum"});
  const std::string legacy = torch_legacy(dict({{"a", plain({6}, {1})}}), {{{"0", 6}, six}});
  refused(legacy.substr(0, legacy.size() - 1), {"truncated"});
  refused(torch_legacy(dict({{"a", plain({6}, {1})}}), {{{"0", std::int64_t{1} << 62}, six}}), {"truncated"});
  refused(torch_legacy(dict({{"a", plain({6}, {1})}}), {{{"7", 6}, six}}), {"names one that no tensor has"});
}

BOOST_AUTO_TEST_CASE(damaged_files_never_crash) {
  const Scratch dir;
  const std::string body = dict({{"a", plain({3, 2}, {1, 3})}, {"b", plain({2}, {2}, 1)}, {"lr", "K\x03"}});
  damage(dir / "x", torch_zip(body, {{"0", six}}), [&] { read_all(dir / "x"); });
  damage(dir / "x", torch_zip(body, {{"0", six}}, true), [&] { read_all(dir / "x"); });
  damage(dir / "x", torch_legacy(body, {{{"0", 6}, six}}), [&] { read_all(dir / "x"); });
  // every byte a pickle may hold at every place, without the checksum in between
  const std::string p = pickle(body);
  for (std::size_t at = 0; at < p.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string copy = p;
      copy[at] = static_cast<char>(byte);
      try {
        static_cast<void>(unpickle(copy, "test"));
      } catch (const Error&) {
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
