// convert: every tensor keeps its key, layout, element type and bits, there and back, whichever dictionary was asked for.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/cast.h"
#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "io/safetensors.h"
#include "tests/support/paths.h"
#include "tests/tools/command.h"
#include "tools/model/model.h"

using namespace costate;
using costate::test::Folder;
using costate::test::run;
using costate::test::spill;

namespace {

void same_files(const Checkpoint& a, const Checkpoint& b) {
  auto keys = a.keys();
  std::sort(keys.begin(), keys.end());
  BOOST_REQUIRE(!keys.empty());
  BOOST_TEST((keys == b.keys()));
  for (const auto& key : keys) {
    const ElementView x = a.view(key), y = b.view(key);
    std::string room_x, room_y;
    BOOST_TEST((x.element == y.element && x.shape == y.shape), key);
    BOOST_TEST((dense_bytes(x, room_x, key) == dense_bytes(y, room_y, key)), key);
  }
}

/// MODEL to .h5, to .safetensors and from one to the other; all hold the bits of `source`.
void there_and_back(const Folder& folder, const Checkpoint& source, std::vector<std::string> words) {
  const std::string h5 = (folder / "a.h5").string(), safe = (folder / "b.safetensors").string(),
                    again = (folder / "c.h5").string();
  words.insert(words.end(), {"--out", h5, "--out", safe});
  const auto o = run(words);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  same_files(source, Checkpoint::open(h5));
  same_files(source, Checkpoint::open(safe));
  BOOST_TEST(run({"convert", safe, "--out", again}).code == 0);
  same_files(source, Checkpoint::open(again));
  BOOST_TEST(test::slurp(h5) == test::slurp(again));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(convert)

BOOST_AUTO_TEST_CASE(half_precision_and_chosen_groups_stay_as_they_are) {
  const Folder folder;
  const auto bundled = Checkpoint::open(source_dir() / "nn/models/fashion-unet.h5");
  spill(folder / "config.json", load_model("fashion-unet").config.dump());
  const std::string config = (folder / "config.json").string();
  Hdf5Writer out(folder / "training.h5");
  for (const auto& key : bundled.keys()) {
    out.write("model/" + key, cast(bundled.read(key), DType::bf16));
    out.write("ema/" + key, bundled.view(key));
  }
  out.finish();
  const std::string file = (folder / "training.h5").string();
  there_and_back(folder, bundled, {"convert", file});  // with the configuration beside it
  there_and_back(folder, Checkpoint::open(file, "model"), {"convert", file, "--config", config, "--key", "model"});
  BOOST_TEST((Checkpoint::open(folder / "a.h5").view("conv_in.weight").element == Element::bf16));
  spill(config, R"({"family": "dit"})");  // costate's own file says all itself
  BOOST_TEST(run({"info", (folder / "a.h5").string()}).code == 0);
}

// safetensors have no dictionaries: names with dots stand for them, and averages come first there, too.
BOOST_AUTO_TEST_CASE(averages_beside_others_in_one_list_of_names) {
  const Folder folder;
  const auto bundled = Checkpoint::open(source_dir() / "nn/models/fashion-unet.h5");
  spill(folder / "config.json", load_model("fashion-unet").config.dump());
  std::vector<std::pair<std::string, ElementView>> all;
  for (const auto& key : bundled.keys()) {
    all.emplace_back("ema.module." + key, bundled.view(key));
    all.emplace_back("model." + key, view_of(Tensor::full(bundled.shape(key), 2)));
  }
  write_safetensors_bits(folder / "training.safetensors", all);
  const std::string file = (folder / "training.safetensors").string(), config = (folder / "config.json").string(),
                    h5 = (folder / "a.h5").string();
  const auto holds = [&](const std::string& prefix, double first) {
    const auto written = Checkpoint::open(h5);
    BOOST_TEST(written.keys().size() == bundled.keys().size());
    for (const auto& key : bundled.keys()) BOOST_REQUIRE_MESSAGE(written.contains(prefix + key), prefix + key);
    BOOST_TEST(written.read(prefix + "conv_in.bias").to_vector()[0] == first);
  };
  const auto averages = run({"convert", file, "--out", h5});
  BOOST_REQUIRE_MESSAGE(averages.code == 0, averages.err);
  holds("ema.module.", bundled.read("conv_in.bias").to_vector()[0]);
  BOOST_TEST((run({"info", file}).out.find("ema.*, the average") != std::string::npos));
  BOOST_TEST(run({"convert", file, "--config", config, "--key", "model", "--out", h5}).code == 0);
  holds("", 2);
}

BOOST_AUTO_TEST_CASE(published_files) {
  for (const std::string name : {"diffusers-f16", "diffusers-bf16", "diffusers-sharded", "diffusers-ddpm-oldkeys"}) {
    const auto path = shared_dir() / "fixtures/networks" / name;
    if (!std::filesystem::exists(path)) {
      std::cerr << "SKIPPED: " << path.string() << " is not there; set COSTATE_SHARED\n";
      continue;
    }
    const Folder folder;
    const Model model = load_model(path.string(), {.weights = false});
    there_and_back(folder, Checkpoint::open(model.file), {"convert", path.string()});
  }
}

BOOST_AUTO_TEST_CASE(gradients_as_a_state_dictionary) {
  const Folder folder;
  const std::string h5 = (folder / "g.h5").string(), safe = (folder / "g.safetensors").string();
  const auto o = run({"grad", "fashion-unet", "-n", "1", "--class", "9", "--steps", "1", "--wrt", "theta", "--out", h5,
                      "--out", safe});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  same_files(Checkpoint::open(h5, "g_theta"), Checkpoint::open(safe));
  const auto bundled = Checkpoint::open(source_dir() / "nn/models/fashion-unet.h5"), g = Checkpoint::open(safe);
  for (const auto& key : bundled.keys()) BOOST_TEST((g.shape(key) == bundled.shape(key)), key);
  BOOST_TEST(g.text("model").value_or("") == "fashion-unet");
  BOOST_TEST(run({"grad", "fashion-unet", "--wrt", "x_T", "--out", safe}).code == 2);
  BOOST_TEST(run({"eval", "fashion-unet", "--repeat", "1", "--out", safe}).code == 2);
  const auto none = run({"eval", "fashion-unet", "--repeat", "1", "--vjp", "--wrt", "x", "--out", safe});
  BOOST_TEST(none.code == 1);
  BOOST_TEST(none.err.find("add theta to --wrt") != std::string::npos, none.err);
}

BOOST_AUTO_TEST_CASE(shards_of_pickles_are_found_in_a_folder) {
  const Folder folder;
  const Model bundled = load_model("fashion-unet");
  spill(folder / "config.json", bundled.config.dump());
  const std::string shard = "diffusion_pytorch_model-00001-of-00001.bin";
  BOOST_TEST(run({"convert", "fashion-unet", "--dtype", "bf16", "--out", (folder / "a.safetensors").string()}).code ==
             2);
  BOOST_REQUIRE(run({"convert", "fashion-unet", "--out", (folder / "a.safetensors").string()}).code == 0);
  std::filesystem::rename(folder / "a.safetensors", folder / shard);
  std::string index;
  for (const auto& key : bundled.keys) index += (index.empty() ? "" : ",") + ('"' + key + "\":\"" + shard + '"');
  spill(folder / "diffusion_pytorch_model.bin.index.json", R"({"weight_map":{)" + index + "}}");
  there_and_back(folder, Checkpoint::open(folder / shard), {"convert", (folder / "").string()});
}

BOOST_AUTO_TEST_SUITE_END()
