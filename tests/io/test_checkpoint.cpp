// One face for all kinds of files: found by content, the right dictionary, the same values whatever the container.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "io/safetensors.h"
#include "io_test.h"
#include "torch_bytes.h"

using namespace costate;
using namespace costate::io_test;

namespace {

using Keys = std::vector<std::string>;

std::string one() { return tensor(storage("FloatStorage", "0", 1), 0, {1}, {1}); }
std::string weights(int count) {
  std::vector<std::pair<std::string, std::string>> items;
  for (int i = 0; i < count; ++i) items.emplace_back("w" + std::to_string(i), one());
  return dict(items);
}

Checkpoint open_torch(const std::string& body, const std::string& key = "") {
  const Scratch dir;
  overwrite(dir / "x.pt", torch_zip(body, {{"0", std::string(4, '\0')}}));
  return Checkpoint::open(dir / "x.pt", key);  // mapped: the file may go
}
std::string chosen(const std::string& body) { return open_torch(body).note(); }
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void read_all(const Checkpoint& c) {
  for (const auto& k : c.keys()) static_cast<void>(c.read(k));
}

void compare(const fs::path& a, const fs::path& b, const std::string& key_a = "", const std::string& key_b = "") {
  const auto x = Checkpoint::open(a, key_a), y = Checkpoint::open(b, key_b);
  auto kx = x.keys(), ky = y.keys();
  std::sort(kx.begin(), kx.end());
  std::sort(ky.begin(), ky.end());
  BOOST_CHECK_MESSAGE(kx == ky, a << " and " << b << " have different keys");
  for (const auto& k : kx) BOOST_CHECK_MESSAGE(y.contains(k) && same_bits(x.read(k), y.read(k)), a << " " << k);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(checkpoint)

BOOST_AUTO_TEST_CASE(the_kind_is_found_by_content) {
  const Scratch dir;
  const Tensor a = ramp({2, 3}, DType::f32), b = ramp({4}, DType::bf16);
  write_safetensors(dir / "1.pt", {{"m.a", a}, {"b", b}});
  Hdf5Writer out(dir / "2.safetensors");
  out.write("m/a", a);
  out.write("b", b);
  out.finish();
  write_file(dir / "3.h5", torch_zip(dict({{"m.a", one()}}), {{"0", std::string(4, '\0')}}));
  write_file(dir / "4", torch_legacy(dict({{"m.a", one()}}), {{{"0", 1}, std::string(4, '\0')}}));
  write_file(dir / "5", R"({"weight_map":{"m.a":"1.pt","b":"1.pt"}})");
  const char* formats[] = {"safetensors", "hdf5", "pytorch zip", "pytorch legacy", "safetensors"};
  const char* names[] = {"1.pt", "2.safetensors", "3.h5", "4", "5"};
  for (int i = 0; i < 5; ++i) {
    const auto c = Checkpoint::open(dir / names[i]);
    BOOST_CHECK_EQUAL(c.format(), formats[i]);
    BOOST_CHECK(c.contains("m.a") && !c.contains("a"));
    read_all(c);
  }
  compare(dir / "1.pt", dir / "2.safetensors");
  const auto c = Checkpoint::open(dir / "1.pt");
  BOOST_CHECK(c.shape("m.a") == a.shape() && c.dtype("b") == DType::bf16);
  check_error([&] { static_cast<void>(c.read("x")); }, {"1.pt", "no tensor 'x'", "of 2"});
  BOOST_CHECK(Checkpoint::open(dir / "2.safetensors", "m").keys() == Keys{"a"});
  check_error([&] { Checkpoint::open(dir / "2.safetensors", "q"); }, {"no tensors below 'q'"});
}

BOOST_AUTO_TEST_CASE(costates_own_file_is_its_weights) {
  const Scratch dir;
  Hdf5Writer out(dir / "x.h5");
  out.write("weights/conv.weight", ramp({2}, DType::f32));
  out.write("other", ramp({2}, DType::f32));
  out.attribute("", "format", "costate model");
  out.attribute("", "format_version", 1);
  out.finish();
  BOOST_CHECK(Checkpoint::open(dir / "x.h5").keys() == Keys{"conv.weight"});
}

BOOST_AUTO_TEST_CASE(unknown_files_say_what_they_are) {
  const Scratch dir;
  const auto refused = [&](const std::string& bytes, const std::string& part) {
    write_file(dir / "x", bytes);
    check_error([&] { Checkpoint::open(dir / "x"); }, {"x'", part});
  };
  refused("", "empty");
  refused("version https://git-lfs.github.com/spec/v1\noid", "git lfs pull");
  refused("<!DOCTYPE html><html>", "web page");
  refused("some text that is long enough", "none of HDF5");
  refused(little(1ULL << 40, 8) + "{}", "claims 1099511627776");
  check_error([&] { Checkpoint::open(dir / "none"); }, {"none", "No such file"});
}

BOOST_AUTO_TEST_CASE(the_rule_for_nested_dictionaries) {
  BOOST_CHECK(has(chosen(weights(2)), "all tensors of the file"));
  const std::string training =
      dict({{"step", "K\x01"}, {"model", weights(3)}, {"ema", weights(3)}, {"net", weights(5)}});
  BOOST_CHECK(has(chosen(training), "'ema'"));
  BOOST_CHECK(has(chosen(training), "also has 'model', 'net'"));
  BOOST_CHECK(has(chosen(dict({{"model", weights(3)}, {"state_dict", weights(2)}})), "'state_dict'"));
  BOOST_CHECK(has(chosen(dict({{"first", weights(3)}, {"second", weights(4)}})), "'second'"));
  // a moving average by any name comes first; a name with the letters in another word is none
  BOOST_CHECK(has(chosen(dict({{"g", weights(3)}, {"g_ema", weights(3)}})), "'g_ema'"));
  BOOST_CHECK(has(chosen(dict({{"schema", weights(3)}, {"model", weights(3)}})), "'model'"));
  // averages without names are no model; lists of one model are
  BOOST_CHECK(has(chosen(dict({{"ema", dict({{"shadow_params", "](" + one() + one() + "e"}})}, {"model", weights(2)}})),
                  "'model'"));
  BOOST_CHECK(has(chosen(dict({{"model", "](" + weights(2) + "e"}})), "'model.0'"));
  BOOST_CHECK(has(chosen("](" + weights(2) + weights(1) + "e"), "'0'"));
  BOOST_CHECK(
      has(chosen(dict({{"ema", dict({{"state_dict", weights(2)}, {"decay", "K\x01"}})}, {"model", weights(3)}})),
          "'ema.state_dict'"));
  // a counter kept as a tensor does not make the root a model; an optimiser never is one
  BOOST_CHECK(has(chosen(dict({{"step", one()}, {"model", weights(3)}})), "'model'"));
  const std::string state = dict({{"state", weights(9)}, {"param_groups", "]"}});
  BOOST_CHECK(has(chosen(dict({{"optimizer", state}, {"g", weights(2)}, {"d_opt", state}})), "'g'"));
  check_error([&] { open_torch(dict({{"optimizer", state}})); }, {"no dictionary of tensors"});
  check_error([&] { open_torch("N"); }, {"no dictionary of tensors"});
}

BOOST_AUTO_TEST_CASE(the_key_of_the_user_overrides_the_rule) {
  const std::string body =
      dict({{"model", weights(3)}, {"ema", dict({{"shadow_params", "](" + one() + one() + "e"}})}});
  BOOST_CHECK(open_torch(body, "ema.shadow_params").keys() == (Keys{"0", "1"}));
  BOOST_CHECK(open_torch(body, "model").keys() == (Keys{"w0", "w1", "w2"}));
  BOOST_CHECK(open_torch(dict({{"a.b.c", one()}, {"ab", one()}}), "a").keys() == Keys{"b.c"});
  check_error([&] { open_torch(body, "mode"); }, {"no tensors below 'mode'"});
  check_error([&] { open_torch(dict({{"a.b", one()}, {"a", dict({{"b", one()}})}})); }, {"'a.b' occurs twice"});
}

BOOST_AUTO_TEST_CASE(hostile_trees_end) {
  // a list in itself, and a diamond whose paths double at every level
  check_error(
      [&] {
        open_torch(
            "]q\x01(h\x01"
            "e");
      },
      {"nested more than"});
  std::string diamond = one() +
                        "q\x01"
                        "0";
  for (int i = 0; i < 30; ++i)
    diamond += "}(" + text("a") + "h\x01" + text("b") +
               "h\x01uq\x01"
               "0";
  check_error([&] { open_torch(diamond + "h\x01"); }, {"nested values"});
}

BOOST_AUTO_TEST_CASE(converted_files_hold_the_same_bits) {
  const auto shared = shared_or_skip();
  if (shared.empty()) return;
  const auto w = shared / "weights", h = w / "hdf5-conversions";
  compare(w / "mnist-unet-ln/model_unet_res.pth", h / "mnist-unet-ln_flat_contiguous.h5");
  compare(w / "mnist-cond-vit/DiffusionViT.pth", h / "mnist-cond-vit_grouped_gzip_shuffle.h5");
  compare(w / "celeba-multiscale/low40.pt", h / "celeba-low40_grouped_chunked.h5");
}

BOOST_AUTO_TEST_CASE(every_shared_file_reads_and_survives_conversion) {
  const auto shared = shared_or_skip();
  if (shared.empty()) return;
  const Scratch dir;
  const Keys kinds = {".pt", ".pth", ".th", ".bin", ".ckpt", ".safetensors", ".h5"};
  int count = 0;
  for (const auto& part : {shared / "weights", shared / "fixtures/networks"}) {
    for (const auto& file : fs::recursive_directory_iterator(part)) {
      if (std::find(kinds.begin(), kinds.end(), file.path().extension()) == kinds.end()) continue;
      const auto c = Checkpoint::open(file.path());
      std::vector<std::pair<std::string, Tensor>> all;
      for (const auto& k : c.keys()) {
        all.emplace_back(k, c.read(k));
        BOOST_CHECK(c.shape(k) == all.back().second.shape() && c.dtype(k) == all.back().second.dtype());
      }
      BOOST_TEST_MESSAGE(fmt::format("{}: {}, {} tensors, {}", file.path().string(), c.format(), all.size(), c.note()));
      write_safetensors(dir / "x", all);
      Hdf5Writer out(dir / "y");
      for (const auto& [k, t] : all) out.write("weights/" + k, t, count % 2 == 0);
      out.attribute("", "format", "costate model");
      out.finish();
      for (const auto& copy : {dir / "x", dir / "y"}) {
        const auto back = Checkpoint::open(copy);
        BOOST_CHECK_EQUAL(back.keys().size(), all.size());
        for (const auto& [k, t] : all) BOOST_CHECK_MESSAGE(same_bits(back.read(k), t), file.path() << " " << k);
      }
      ++count;
    }
  }
  BOOST_CHECK_GT(count, 100);
}

BOOST_AUTO_TEST_CASE(shards) {
  const Scratch dir;
  write_safetensors(dir / "m-1.safetensors",
                    {{"a", ramp({2}, DType::f32)}, {"not in the index", ramp({1}, DType::f32)}});
  write_safetensors(dir / "m-2.safetensors", {{"b", ramp({3}, DType::f64)}, {"c", ramp({1}, DType::i32)}});
  const fs::path index = dir / "m.safetensors.index.json";
  const std::string map = R"({"metadata":{"total_size":36},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors",)";
  const auto fails = [&](const std::string& text, const std::vector<std::string>& parts) {
    write_file(index, text);
    check_error([&] { read_all(Checkpoint::open(index)); }, parts);
  };
  write_file(index, map + R"("c":"m-2.safetensors"}})");
  const auto file = Checkpoint::open(index);
  BOOST_CHECK((file.keys() == Keys{"a", "b", "c"}));
  BOOST_CHECK(same_bits(file.read("b"), ramp({3}, DType::f64)));
  BOOST_CHECK(same_bits(file.read("a"), ramp({2}, DType::f32)));
  fails(map + R"("d":"m-2.safetensors"}})", {"tensor 'd' is not in the shard"});
  fails(map + R"("c":"m-3.safetensors"}})", {"m-3.safetensors", "No such file"});
  fails(map + R"("c":"../m-2.safetensors"}})", {"not a plain file name"});
  fails(map + R"("a":"m-2.safetensors"}})", {"'a' occurs twice"});
  fails(map + R"("c":"m.safetensors.index.json"}})", {"is an index itself"});
  fails("{}", {"'weight_map' is missing"});
  fails(R"({"weight_map":{}})", {"holds no tensors"});
}

BOOST_AUTO_TEST_CASE(shards_of_pytorch) {
  const Scratch dir;
  const auto shard = [](const std::string& key, const std::string& bytes) {
    return torch_zip(dict({{key, one()}}), {{"0", bytes}});
  };
  write_file(dir / "w-1.bin", shard("x.weight", little(0x3f800000, 4)));
  write_file(dir / "w-2.bin", shard("y.weight", little(0x40000000, 4)));
  write_file(dir / "w.bin.index.json", R"({"weight_map":{"y.weight":"w-2.bin","x.weight":"w-1.bin"}})");
  const auto file = Checkpoint::open(dir / "w.bin.index.json");
  BOOST_CHECK((file.keys() == Keys{"x.weight", "y.weight"}));
  BOOST_CHECK_EQUAL(file.format(), "pytorch zip");
  BOOST_CHECK_EQUAL(file.read("x.weight").to_vector()[0], 1);
  BOOST_CHECK_EQUAL(file.read("y.weight").to_vector()[0], 2);
}

BOOST_AUTO_TEST_SUITE_END()
