// Networks that begin somewhere inside a file: found where they fit below one name, refused where below several.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

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

using Entries = std::vector<std::pair<std::string, Tensor>>;

/// The bundled network's tensors, each name after `before`.
Entries renamed(const std::string& before) {
  const auto source = Checkpoint::open(source_dir().string() + "/nn/models/fashion-unet.h5");
  Entries entries;
  for (const auto& key : source.keys()) entries.emplace_back(before + key, source.read(key));
  return entries;
}

std::string configured(const Folder& folder) {
  const auto config = nlohmann::json::parse(load_model("fashion-unet").config.dump());
  spill(folder / "config.json", config.dump());
  return (folder / "net.h5").string();
}

void write(const std::string& file, const Entries& entries) {
  Hdf5Writer out(file);
  for (const auto& [name, value] : entries) out.write(name, value);
  out.finish();
}

std::string note_of(const std::string& model) {
  const auto told = run({"info", model, "--json"});
  BOOST_REQUIRE_MESSAGE(told.code == 0, told.err);
  return nlohmann::json::parse(told.out).value("note", "");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(fitting)

BOOST_AUTO_TEST_CASE(a_network_in_a_group_of_groups_is_found) {
  const Folder folder;
  const std::string file = configured(folder);
  Entries entries = renamed("net/weights/");
  entries.emplace_back("optimizer/rate", Tensor::full({1}, 1e-4, DType::f32));
  write(file, entries);
  BOOST_TEST(note_of(file).find("of these those below 'net.weights', as only they fit") != std::string::npos,
             note_of(file));
  const Model found = load_model(file), plain = load_model("fashion-unet");
  const auto a = found.network->parameters(), b = plain.network->parameters();
  BOOST_REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) BOOST_TEST((a[i].value.to_vector() == b[i].value.to_vector()), a[i].key);
  BOOST_TEST(found.keys[0] == "net.weights." + plain.keys[0]);
}

BOOST_AUTO_TEST_CASE(names_before_keys_are_found_in_other_files_too) {
  const Folder folder;
  static_cast<void>(configured(folder));
  const std::string file = (folder / "net.safetensors").string();
  write_safetensors(file, renamed("diffusion.denoise_fn."));
  BOOST_TEST(note_of(file).find("'diffusion.denoise_fn'") != std::string::npos, note_of(file));
}

BOOST_AUTO_TEST_CASE(of_two_networks_one_must_be_chosen) {
  const Folder folder;
  const std::string file = configured(folder);
  Entries entries = renamed("first/net/");
  for (const auto& each : renamed("second/net/")) entries.push_back(each);
  write(file, entries);
  const auto told = run({"info", file});
  BOOST_TEST(told.code == 1);
  BOOST_TEST(told.err.find("first.net, second.net; say which by its key") != std::string::npos, told.err);
  BOOST_TEST(run({"info", file, "--key", "second.net"}).code == 0);
}

BOOST_AUTO_TEST_CASE(a_network_that_fits_nowhere_is_told_what_all_tensors_lack) {
  const Folder folder;
  const std::string file = configured(folder);
  Entries entries = renamed("net/");
  entries.erase(entries.begin());
  write(file, entries);
  const auto told = run({"info", file});
  BOOST_TEST(told.code == 1);
  BOOST_TEST(told.err.find("missing") != std::string::npos, told.err);
}

BOOST_AUTO_TEST_SUITE_END()
