// Files that lie: truncated, bit-flipped, with foreign pickles, missing, surplus and misshapen keys, NaN. One message, no crash.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "io/safetensors.h"
#include "tests/support/paths.h"
#include "tests/tools/command.h"
#include "tools/model/model.h"

using namespace costate;
using costate::test::Folder;
using costate::test::Outcome;
using costate::test::run;
using costate::test::slurp;
using costate::test::spill;

namespace {

using Entries = std::vector<std::pair<std::string, Tensor>>;

/// The bundled network as a checkpoint with a configuration beside it, after `change` had its way with both.
template <class Change>
std::string changed(const Folder& folder, const Change& change) {
  const auto source = Checkpoint::open(costate::source_dir().string() + "/nn/models/fashion-unet.h5");
  Entries entries;
  for (const auto& key : source.keys()) entries.emplace_back(key, source.read(key));
  nlohmann::json config = nlohmann::json::parse(load_model("fashion-unet").config.dump());
  change(entries, config);
  write_safetensors(folder / "model.safetensors", entries);
  spill(folder / "config.json", config.dump());
  return (folder / "model.safetensors").string();
}

Tensor& entry(Entries& entries, const std::string& key) {
  for (auto& [name, value] : entries) {
    if (name == key) return value;
  }
  throw std::logic_error("no such key: " + key);
}

void expect_refusal(const Outcome& o, const std::vector<std::string>& in_message) {
  BOOST_TEST(o.code == 1, "exit code " << o.code << ": " << o.err);
  BOOST_TEST(o.err.rfind("costate: ", 0) == 0U, o.err);
  for (const auto& text : in_message)
    BOOST_TEST(o.err.find(text) != std::string::npos, "'" << text << "' is not in: " << o.err);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bad_files)

BOOST_AUTO_TEST_CASE(keys_that_do_not_fit_are_named) {
  const Folder folder;
  expect_refusal(run({"info", changed(folder, [](Entries& e, auto&) { e.erase(e.begin()); })}),
                 {"1 missing", "class_embedding.weight (11, 128)"});
  expect_refusal(run({"info", changed(folder,
                                      [](Entries& e, auto&) {
                                        e.emplace_back("ghost.weight", Tensor::zeros({3, 4}));
                                      })}),
                 {"1 unknown", "ghost.weight (3, 4)"});
  expect_refusal(
      run({"info", changed(folder, [](Entries& e, auto&) { entry(e, "conv_in.bias") = Tensor::zeros({31}); })}),
      {"1 of another shape", "conv_in.bias (expected (32), found (31))"});
  expect_refusal(run({"info", changed(folder, [](Entries& e, auto&) { e.resize(e.size() - 20); })}),
                 {"20 missing", "and 15 more"});
}

BOOST_AUTO_TEST_CASE(configurations_that_are_not_supported_are_named_with_their_value) {
  const Folder folder;
  expect_refusal(run({"info", changed(folder, [](auto&, auto& c) { c["act_fn"] = "tanhshrink"; })}),
                 {"act_fn", "tanhshrink"});
  expect_refusal(run({"info", changed(folder, [](auto&, auto& c) { c["down_block_types"][0] = "WarpBlock2D"; })}),
                 {"WarpBlock2D"});
  expect_refusal(run({"info", changed(folder, [](auto&, auto& c) { c["norm_num_groups"] = "eight"; })}),
                 {"norm_num_groups", "eight"});
  expect_refusal(run({"info", changed(folder, [](auto&, auto& c) { c["schedule"]["beta_schedule"] = "wavy"; })}),
                 {"beta_schedule", "wavy"});
  expect_refusal(run({"info", changed(folder, [](auto&, auto& c) { c["prediction"] = "guess"; })}), {"guess"});
  expect_refusal(run({"info", changed(folder, [](auto&, auto& c) { c["family"] = "unet3d"; })}), {"unet3d", "unet2d"});
  const std::string model = changed(folder, [](auto&, auto&) {});
  spill(folder / "config.json", "{\"family\": ");
  expect_refusal(run({"info", model}), {"config.json: not valid JSON: parse error at line 1, column 12"});
  spill(folder / "torn.safetensors", std::string("\x0b\0\0\0\0\0\0\0{\"family\": ", 19));
  expect_refusal(run({"info", (folder / "torn.safetensors").string()}), {"not valid JSON: parse error at line 1"});
}

BOOST_AUTO_TEST_CASE(a_folder_of_other_files_says_which_could_be_meant) {
  const Folder folder;
  const std::string here = (folder / "").string();
  expect_refusal(run({"info", here}), {"is no model folder; it needs config.json"});
  spill(folder / "low.pt", "");
  spill(folder / "notes.txt", "");
  expect_refusal(run({"info", here}), {"is no model folder", "or name a file in it: low.pt\n"});
  spill(folder / "config.json", "{}");
  expect_refusal(run({"info", here}), {"holds no weights", "or name a file in it: low.pt\n"});
}

BOOST_AUTO_TEST_CASE(a_nan_is_found_where_it_first_is) {
  const Folder folder;
  const auto poison = [](Entries& e, auto&) {
    auto v = entry(e, "conv_out.bias").to_vector();
    v[0] = std::nan("");
    entry(e, "conv_out.bias") = Tensor::from(v, {1}, DType::f32);
  };
  expect_refusal(run({"sample", changed(folder, poison), "-n", "1", "--steps", "1"}),
                 {"conv_out.bias", "NaN", "index 0"});
  const auto huge = [](Entries& e, auto&) { entry(e, "conv_norm_out.weight") = Tensor::full({32}, 3e38); };
  expect_refusal(run({"sample", changed(folder, huge), "-n", "1", "--steps", "3"}), {"step 1", "NaN or an infinity"});
}

BOOST_AUTO_TEST_CASE(truncated_and_flipped_models_never_crash) {
  const Folder folder;
  const std::string safe = changed(folder, [](auto&, auto&) {});
  for (const auto& [name, source] :
       {std::pair<std::string, std::string>{"t.h5", costate::source_dir().string() + "/nn/models/fashion-unet.h5"},
        {"t.safetensors", safe}}) {
    const std::string whole = slurp(source), file = (folder / name).string();
    for (const double part : {0.0, 0.00001, 0.0001, 0.01, 0.3, 0.9, 0.999999}) {
      spill(file, whole.substr(0, static_cast<std::size_t>(part * static_cast<double>(whole.size()))));
      expect_refusal(run({"info", file}), {name});
    }
    for (std::size_t i = 0; i < 24;
         ++i) {  // inside headers, where a byte means most; data bytes are only other weights
      std::string bytes = whole;
      bytes[i * 37 % 800] = static_cast<char>(bytes[i * 37 % 800] ^ (1 << i % 8));
      spill(file, bytes);
      const Outcome o = run({"info", file});
      BOOST_TEST((o.code == 0 || o.code == 1),
                 name << " byte " << i * 37 % 800 << ": exit code " << o.code << ": " << o.err);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_header_that_claims_more_than_the_file_is_refused_before_anything_is_allocated) {
  const Folder folder;
  const std::string header = R"({"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  spill(folder / "big.safetensors", bytes + header);
  expect_refusal(run({"info", (folder / "big.safetensors").string()}), {"big.safetensors"});
  spill(folder / "huge.safetensors", std::string(8, '\x7f') + header);
  expect_refusal(run({"info", (folder / "huge.safetensors").string()}), {"huge.safetensors"});
}

BOOST_AUTO_TEST_CASE(a_pickle_runs_nothing) {
  const Folder folder;
  // Protocol 2: os.system("touch pwned") the way pickle would call it. The legacy format starts with the pickle of a magic number.
  const std::string evil = std::string("\x80\x02") + "cos\nsystem\nX\x0b" + std::string(3, '\0') + "touch pwned\x85R.";
  spill(folder / "evil.pt", evil);
  expect_refusal(run({"info", (folder / "evil.pt").string()}), {"evil.pt"});
  BOOST_TEST(!std::filesystem::exists("pwned"));
}

// NumPy's numbers are floating unless asked for: labels may be, if they are whole.
BOOST_AUTO_TEST_CASE(labels_are_whole_numbers_of_any_type) {
  const Folder folder;
  const auto outcome = [&](bool evaluation, const Tensor& labels) {
    const std::string from = (folder / "in.h5").string(), to = (folder / "out.h5").string();
    Hdf5Writer out(from);
    out.write(evaluation ? "x" : "x_T", Tensor::zeros({1, 28, 28, 1}));
    if (evaluation) out.write("t", Tensor::from({5}, {1}));
    out.write("class", labels);
    out.finish();
    return evaluation ? run({"eval", "fashion-unet", "--in", from, "--out", to})
                      : run({"sample", "fashion-unet", "--steps", "2", "--start", from, "--out", to});
  };
  for (const bool evaluation : {true, false}) {
    const auto values = [&](const Tensor& labels) {
      const Outcome o = outcome(evaluation, labels);
      BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
      return Hdf5Reader((folder / "out.h5").string()).read(evaluation ? "y" : "x").to_vector();
    };
    BOOST_TEST(values(Tensor::from({3}, {1})) == values(Tensor::from({3}, {1}, DType::i32)));
    expect_refusal(outcome(evaluation, Tensor::from({3.5}, {1})), {"in.h5", "class holds 3.5", "whole"});
  }
  // With labels there is no z to differentiate in.
  Hdf5Writer out((folder / "g.h5").string());
  for (const char* name : {"x", "g"}) out.write(name, Tensor::zeros({1, 28, 28, 1}));
  out.write("t", Tensor::from({5}, {1}));
  out.write("class", Tensor::from({3}, {1}, DType::i32));
  out.finish();
  expect_refusal(run({"eval", "fashion-unet", "--in", (folder / "g.h5").string(), "--vjp", "--wrt", "z"}),
                 {"gradient in z", "x and theta"});
}

BOOST_AUTO_TEST_CASE(starts_without_a_sample_are_refused) {
  const Folder folder;
  const std::string file = (folder / "none.h5").string();
  Hdf5Writer out(file);
  out.write("x_T", Tensor::zeros({0, 28, 28, 1}));
  out.write("x", Tensor::zeros({0, 28, 28, 1}));
  out.finish();
  for (const std::string command : {"sample", "grad"})
    expect_refusal(run({command, "fashion-unet", "--steps", "1", "--start", file}), {"none.h5", "holds nothing"});
  expect_refusal(run({"encode", "fashion-unet", "--steps", "1", "--in", file}), {"none.h5", "holds nothing"});
}

BOOST_AUTO_TEST_SUITE_END()
