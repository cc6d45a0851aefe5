// costate guide on the bundled networks: a loss falls, a run goes on from its file, every kind of unknown is optimised.
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <nlohmann/json.hpp>

#include "autodiff/ops/slice.h"
#include "core/random.h"
#include "io/hdf5.h"
#include "io/png.h"
#include "tests/support/inputs.h"
#include "tests/tools/command.h"
#include "tests/tools/interrupted.h"

using costate::Hdf5Reader;
using costate::same_bits;
using costate::Tensor;
using costate::test::Folder;
using costate::test::run;

namespace {

/// The losses of a run, the last one included.
std::vector<double> losses(std::vector<std::string> arguments) {
  std::vector<std::string> all{"guide", "fashion-unet", "-n", "2", "--class", "3", "--steps", "4", "--json"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const auto o = run(all);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const auto j = nlohmann::json::parse(o.out);
  auto found = j["losses"].get<std::vector<double>>();
  found.push_back(j["loss"].get<double>());
  return found;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(guide)

BOOST_AUTO_TEST_CASE(the_classifier_is_led_to_another_class) {
  for (const auto& [wrt, rate] : {std::pair<std::string, std::string>{"x_T", "0.1"}, {"z", "0.3"}, {"z_t", "0.3"}}) {
    const auto l = losses({"--loss", "class:7", "--wrt", wrt, "--rate", rate, "--iterations", "8"});
    BOOST_TEST_MESSAGE(wrt << ": from " << l.front() << " to " << l.back());
    BOOST_TEST(l.back() < 0.7 * l.front());
  }
  const auto theta = losses({"--loss", "norm", "--wrt", "theta", "--rate", "0.00002", "--iterations", "3"});
  BOOST_TEST(theta.back() < theta.front());
}

/// A loss is not to fight a class that nobody asked for: the network's row for no class stands where none is given, unless z is
/// what is optimised.
BOOST_AUTO_TEST_CASE(without_a_class_the_network_is_told_none) {
  const auto first = [](std::vector<std::string> more) {
    std::vector<std::string> all{"guide",  "fashion-unet", "-n",           "2", "--steps", "2",
                                 "--loss", "class:7",      "--iterations", "1", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    const auto o = run(all);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return nlohmann::json::parse(o.out)["losses"][0].get<double>();
  };
  BOOST_TEST(first({}) == first({"--guidance", "0"}));
  BOOST_TEST(first({}) == first({"--class", "5", "--guidance", "0"}));
  BOOST_TEST(first({}) != first({"--class", "0,1"}));
  BOOST_TEST(first({"--wrt", "z"}) == first({"--class", "0,1"}));
}

BOOST_AUTO_TEST_CASE(a_run_goes_on_from_its_file) {
  const Folder folder;
  const std::string half = (folder / "half.h5").string(), rest = (folder / "rest.h5").string(),
                    whole = (folder / "whole.h5").string(), picture = (folder / "path.png").string();
  for (const std::string optimiser : {"adam", "sgd"}) {
    const std::vector<std::string> how{
        "--loss", "norm", "--optimiser", optimiser, "--momentum", optimiser == "sgd" ? "0.5" : "0", "--rate", "0.01"};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.end(), how.begin(), how.end());
      return losses(more);
    };
    with({"--iterations", "2", "--out", half});
    const auto resumed = with({"--iterations", "2", "--resume", half, "--out", rest});
    const auto once = with({"--iterations", "4", "--out", whole, "--out", picture});
    BOOST_TEST(resumed == once);
    const Hdf5Reader a(rest), b(whole);
    for (const char* name : {"x_T", "x_0", "losses"}) BOOST_TEST(same_bits(a.read(name), b.read(name)), name);
  }
  // Values of bf16, whose moments are f32.
  const auto weights = [](const std::string& count, std::vector<std::string> more) {
    more.insert(more.end(),
                {"--iterations", count, "--loss", "norm", "--wrt", "theta", "--dtype", "bf16", "--rate", "0.01"});
    return losses(more);
  };
  const std::string coarse_half = (folder / "coarse-half.h5").string();
  weights("1", {"--out", coarse_half});
  weights("1", {"--resume", coarse_half, "--out", rest});
  weights("2", {"--out", whole});
  const Hdf5Reader a(rest), b(whole);
  int seen = 0;
  for (const auto& name : b.datasets()) {
    BOOST_TEST(same_bits(a.read(name), b.read(name)), name);
    ++seen;
  }
  BOOST_TEST(seen > 100);
  BOOST_TEST((b.read("value/conv_in.weight").dtype() == costate::DType::bf16));
  BOOST_TEST((b.read("second/conv_in.weight").dtype() == costate::DType::f32));
  const auto o = run({"guide", "fashion-unet", "-n", "2", "--class", "3", "--steps", "4", "--loss", "norm", "--wrt",
                      "z", "--resume", half});
  BOOST_TEST((o.code == 1 && o.err.find("another command: costate guide fashion-unet") != std::string::npos), o.err);
  const std::vector<std::string> again{
      "guide", "fashion-unet", "-n", "1", "--steps", "1", "--out", (folder / "it's one.h5").string()};
  const auto going_on = [&](const std::string& loss) {
    auto words = again;
    words.insert(words.end(), {"--loss", loss, "--iterations", "1", "--rate", "0.01"});
    return words;
  };
  BOOST_REQUIRE(run(going_on("norm")).code == 0);
  for (const std::string loss : {"norm", "mean"}) {
    auto words = going_on(loss);
    words.insert(words.end(), {"--resume", again.back(), "--quiet"});
    const auto resumed = run(words);
    BOOST_TEST((resumed.code == 0) == (loss == "norm"), resumed.err);
  }
  const std::string samples = (folder / "samples.h5").string();
  BOOST_REQUIRE(run({"sample", "fashion-unet", "-n", "1", "--steps", "1", "--out", samples}).code == 0);
  const auto other = run({"guide", "fashion-unet", "-n", "1", "--steps", "1", "--loss", "norm", "--resume", samples});
  BOOST_TEST((other.code == 1 && other.err.find("not written by guide") != std::string::npos), other.err);
}

/// With the options of the sampler alone: the class, none included, and a z that was optimised are in the file.
BOOST_AUTO_TEST_CASE(sample_makes_the_same_samples_of_a_result) {
  const Folder folder;
  const std::string guided = (folder / "guided.h5").string(), again = (folder / "again.h5").string();
  using Words = std::vector<std::string>;
  const auto expect_back = [&](const Words& how, const Words& more, const std::string& holds) {
    Words words{"guide", "fashion-unet", "-n", "2", "--loss", "norm", "--iterations", "2", "--quiet", "--out", guided};
    words.insert(words.end(), how.begin(), how.end());
    words.insert(words.end(), more.begin(), more.end());
    const auto o = run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    Words back{"sample", "fashion-unet", "--start", guided, "--out", again};
    back.insert(back.end(), how.begin(), how.end());
    const auto p = run(back);
    BOOST_REQUIRE_MESSAGE(p.code == 0, p.err);
    const Hdf5Reader found(guided);
    BOOST_TEST(found.contains("class") == (holds == "class"), holds);
    BOOST_TEST(found.contains("z") == (holds == "z"), holds);
    BOOST_TEST(same_bits(Hdf5Reader(again).read("x"), found.read("x_0")), holds);
  };
  expect_back({"--steps", "3"}, {}, "class");
  BOOST_TEST(Hdf5Reader(guided).read("class").to_vector() == std::vector<double>(2, 10));
  expect_back({"--steps", "3"}, {"--class", "9,4"}, "class");
  expect_back({"--steps", "3", "--guidance", "1.5"}, {"--class", "9", "--wrt", "x_T,z"}, "z");
  expect_back({"--steps", "3", "--sampler", "ddpm", "--seed", "3"}, {"--class", "9", "--wrt", "z_t"}, "z");
  const auto o = run({"sample", "fashion-unet", "--start", guided, "--class", "9", "--steps", "3"});
  BOOST_TEST((o.code == 2 && o.err.find("--class 9: " + guided + " holds z") != std::string::npos), o.err);
}

// The weights that were found are a model: its samples are those that the run ended with.
BOOST_AUTO_TEST_CASE(tuned_weights_are_a_model) {
  const Folder folder;
  const std::string tuned = (folder / "tuned.safetensors").string(), found = (folder / "found.h5").string(),
                    again = (folder / "again.h5").string();
  const std::vector<std::string> how{"-n", "1", "--class", "3", "--steps", "2", "--seed", "4"};
  std::vector<std::string> words{"guide", "fashion-unet", "--loss", "norm",   "--wrt",
                                 "theta", "--iterations", "2",      "--rate", "0.01"};
  words.insert(words.end(), how.begin(), how.end());
  words.insert(words.end(), {"--out", tuned, "--out", found});
  const auto o = run(words);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  words = {"sample", tuned, "--out", again};
  words.insert(words.end(), how.begin(), how.end());
  const auto sampled = run(words);
  BOOST_REQUIRE_MESSAGE(sampled.code == 0, sampled.err);
  const Hdf5Reader a(found), b(again);
  BOOST_TEST(same_bits(a.read("x_0"), b.read("x")));
  BOOST_TEST((a.read("x_0").to_vector() != std::vector<double>(784)));
  const auto refused = run({"guide", "fashion-unet", "--loss", "norm", "--out", tuned});
  BOOST_TEST((refused.code == 2 && refused.err.find("add theta") != std::string::npos), refused.err);
}

// What is kept along the way is what a run of so many iterations ends with.
BOOST_AUTO_TEST_CASE(a_killed_run_leaves_a_shorter_one) {
  const Folder folder;
  const std::string killed = (folder / "killed.h5").string(), shorter = (folder / "shorter.h5").string();
  const auto command = [](const std::string& iterations, const std::string& out) {
    return std::vector<std::string>{
        "guide", "fashion-unet", "-n",           "2",        "--class", "3",     "--steps", "2", "--loss", "norm",
        "--wrt", "x_T,z",        "--iterations", iterations, "--quiet", "--out", out};
  };
  auto words = command("5000", killed);
  words.insert(words.begin(), costate::command_path().string());
  words.insert(words.end(), {"--pictures", "1000"});  // kept every five iterations
  costate::test::kill_once_kept(words, killed);
  const Hdf5Reader a(killed);
  const auto iterations = a.read("losses").size();
  BOOST_TEST((iterations > 0 && iterations % 5 == 0 && iterations < 5000));
  const auto o = run(command(std::to_string(iterations), shorter));
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const Hdf5Reader b(shorter);
  BOOST_TEST(b.datasets().size() == a.datasets().size());
  for (const auto& name : b.datasets()) BOOST_TEST(same_bits(a.read(name), b.read(name)), name);
  BOOST_TEST(a.number("", "loss").value() == b.number("", "loss").value());
}

// More samples than go through the network at a time: in groups, under one loss.
BOOST_AUTO_TEST_CASE(samples_have_the_same_bits_for_any_count) {
  const Folder folder;
  const auto guided = [&](const std::string& count, const std::string& wrt) {
    const std::string out = (folder / ("of" + count + wrt + ".h5")).string();
    const auto o = run({"guide", "fashion-unet", "-n", count, "--class", "3,7", "--steps", "2", "--wrt", wrt, "--loss",
                        "norm", "--iterations", "2", "--quiet", "--out", out});
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return Hdf5Reader(out);
  };
  for (const std::string wrt : {"x_T", "z_t"}) {
    const Hdf5Reader many = guided("23", wrt), few = guided("3", wrt);
    for (const char* name : {"x_0", "x_T"}) BOOST_TEST(same_bits(many.read(name).rows(0, 3), few.read(name)), name);
    if (wrt == "z_t") {
      const Tensor all = many.read("value/z");
      BOOST_TEST(all.dim(1) == 23);
      BOOST_TEST(same_bits(slice(all, 1, 0, 3), few.read("value/z")));
    }
  }
}

BOOST_AUTO_TEST_CASE(an_image_loss_has_the_size_of_the_start) {
  const Folder folder;
  const std::string start = (folder / "start.h5").string();
  costate::Hdf5Writer file(start);
  file.write("x_T", costate::normal_noise(1, 0, 1, 0, {16, 20, 1}));
  file.finish();
  for (const std::int64_t width : {20, 28}) {
    const std::string target = (folder / "target.png").string();
    costate::write_png(target, Tensor::full({16, width, 1}, 0.5, costate::DType::f64));
    const auto o = run({"grad", "fashion-unet", "--class", "3", "--steps", "2", "--start", start, "--loss",
                        "image:" + target, "--wrt", "x_T"});
    BOOST_TEST((o.code == (width == 20 ? 0 : 1)), o.err);
    if (width != 20) BOOST_TEST(o.err.find("(16, 20, 1)") != std::string::npos, o.err);
  }
}

BOOST_AUTO_TEST_CASE(a_result_is_a_target) {
  const Folder folder;
  const std::string target = (folder / "boot.h5").string();
  BOOST_TEST(
      run({"sample", "fashion-unet", "-n", "1", "--class", "9", "--steps", "2", "--quiet", "--out", target}).code == 0);
  const auto o = run({"grad", "fashion-unet", "-n", "1", "--class", "9", "--steps", "2", "--loss", "image:" + target,
                      "--wrt", "x_T", "--dtype", "f64", "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const double loss = nlohmann::json::parse(o.out)["adjoints"][0]["loss"];
  BOOST_TEST(loss < 1e-9);  // the same sample, then in f32
}

BOOST_AUTO_TEST_CASE(wrong_usage) {
  const auto expect = [](const std::vector<std::string>& words, const std::string& part) {
    const auto o = run(words);
    BOOST_TEST(o.code == 2);
    BOOST_TEST(o.err.find(part) != std::string::npos, o.err);
  };
  expect({"guide", "fashion-unet"}, "--loss");
  expect({"guide", "fashion-unet", "--loss", "clas:7"}, "class:K");
  expect({"guide", "fashion-unet", "--loss", "norm", "--wrt", "y"}, "z_t");
  expect({"guide", "fashion-unet", "--loss", "norm", "--optimiser", "adm"}, "adam");
  expect({"guide", "fashion-unet", "--loss", "norm", "--rate", "-1"}, "--rate -1");
  expect({"guide", "fashion-unet", "--loss", "norm", "--momentum", "1"}, "--momentum 1");
  expect({"train-classifier", "--out", "x.h5"}, "--images");
  const auto unwritten =
      run({"guide", "fashion-unet", "-n", "1", "--steps", "1", "--loss", "norm", "--iterations", "1"});
  BOOST_TEST(unwritten.out.find("nothing was written; add --out") != std::string::npos, unwritten.out);
}

BOOST_AUTO_TEST_SUITE_END()
