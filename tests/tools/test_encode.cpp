// costate encode and --noise tree through the command: codes that sample replays, bits that depend on nothing else.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/hdf5.h"
#include "io/png.h"
#include "tests/tools/command.h"

using namespace costate;
namespace fs = std::filesystem;
using costate::test::Folder;
using costate::test::largest_difference;
using costate::test::run;

namespace {

/// A folder with the mixture as mix.json and three of its samples as data.h5.
struct Scene {
  Folder folder;

  Scene() {
    test::spill(folder / "mix.json", R"({"family": "gaussian_mixture", "weights": [0.5, 0.3, 0.2],
      "means": [[1, 0.3], [-0.7, 0.9], [0.2, -1.1]],
      "covariances": [[[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]]],
      "schedule": {"type": "vp_linear", "t_min": 0.01}})");
    Hdf5Writer data(folder / "data.h5");
    data.write("x", x_0());
    data.finish();
  }
  static Tensor x_0() { return Tensor::from({0.97, 0.12, -0.6, 1, 0.3, -0.9}, {3, 2}); }

  [[nodiscard]] std::string file(const std::string& name) const { return (folder / name).string(); }
  /// Runs a subcommand on the mixture in f64.
  [[nodiscard]] test::Outcome on_mixture(std::vector<std::string> words) const {
    words.insert(words.begin() + 1, {file("mix.json"), "--dtype", "f64", "--grid", "lambda"});
    return run(words);
  }
  [[nodiscard]] Tensor read(const std::string& name, const std::string& dataset) const {
    return Hdf5Reader(file(name)).read(dataset);
  }
};

using Words = std::vector<std::string>;
Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(encode_command)

BOOST_AUTO_TEST_CASE(sample_replays_a_code) {
  const Scene scene;
  for (const Words& sampler : {Words{"o-belm"},
                               {"edict"},
                               {"rex", "--set", "sde=shark"},
                               {"ddpm"},
                               {"ddim", "--eta", "0.1"},
                               {"sde-dpmpp-2m"}}) {
    for (const Words& more : {Words{}, {"--states", "independent"}}) {
      if (!more.empty() && (sampler[0] == "o-belm" || sampler[0] == "edict" || sampler[0] == "rex")) continue;
      const Words method = Words{"--sampler"} + sampler + Words{"--steps", "20", "--out"};
      const auto there = scene.on_mixture(Words{"encode", "--in", scene.file("data.h5"), "--json"} + more + method +
                                          Words{scene.file("code.h5")});
      BOOST_REQUIRE_MESSAGE(there.code == 0, there.err);
      const auto j = nlohmann::json::parse(there.out);
      BOOST_TEST(j["round_trip"]["largest"].get<double>() < 1e-12, sampler[0]);
      const std::string& name = sampler[0];
      BOOST_TEST(j["draws"] == (name == "rex" ? 40 : name == "o-belm" || name == "edict" ? 0 : 20), name);
      const auto back =
          scene.on_mixture(Words{"sample", "--start", scene.file("code.h5")} + method + Words{scene.file("again.h5")});
      BOOST_REQUIRE_MESSAGE(back.code == 0, back.err);
      BOOST_TEST(largest_difference(scene.read("again.h5", "x"), Scene::x_0()) < 1e-12, sampler[0]);
    }
  }
}

BOOST_AUTO_TEST_CASE(ode_solvers_and_adaptive_steps) {
  const Scene scene;
  for (const auto& [sampler, bound] : {std::pair{"rk45", 1e-5}, {"dpm-3", 1e-3}, {"ddim", 1.0}}) {
    const auto there =
        scene.on_mixture({"encode", "--in", scene.file("data.h5"), "--json", "--sampler", sampler, "--steps", "40"});
    BOOST_REQUIRE_MESSAGE(there.code == 0, there.err);
    const double off = nlohmann::json::parse(there.out)["round_trip"]["largest"];
    BOOST_TEST((off > 0 && off < bound), sampler << ": " << off);
  }
}

BOOST_AUTO_TEST_CASE(bits_do_not_depend_on_the_batch) {
  const Scene scene;
  const auto code = [&](const Words& more, const std::string& name) {
    const auto r = scene.on_mixture(
        Words{"encode", "--in", scene.file("data.h5"), "--steps", "10", "--out", scene.file(name)} + more);
    BOOST_REQUIRE_MESSAGE(r.code == 0, r.err);
  };
  for (const Words& sampler : {Words{"--sampler", "ddpm"}, {"--sampler", "ddpm", "--noise", "tree"}}) {
    code(sampler + Words{"--batch", "1", "--threads", "1"}, "one.h5");
    code(sampler + Words{"--batch", "3", "--threads", "2"}, "three.h5");
    for (const char* dataset : {"x_T", "noise"})
      BOOST_TEST(scene.read("one.h5", dataset).to_vector() == scene.read("three.h5", dataset).to_vector());
  }
}

BOOST_AUTO_TEST_CASE(a_brownian_path_for_any_number_of_steps) {
  const Scene scene;
  const auto sampled = [&](const Words& more) {
    const auto r = scene.on_mixture(
        Words{"sample", "-n", "3", "--sampler", "shark", "--seed", "4", "--out", scene.file("x.h5")} + more);
    BOOST_REQUIRE_MESSAGE(r.code == 0, r.err);
    return scene.read("x.h5", "x");
  };
  const Tensor fine = sampled({"--noise", "tree", "--steps", "400"});
  BOOST_TEST(largest_difference(sampled({"--noise", "tree", "--steps", "100", "--batch", "2"}), fine) < 0.01);
  BOOST_TEST(largest_difference(sampled({"--noise", "fresh", "--steps", "100"}), fine) > 0.1);
}

BOOST_AUTO_TEST_CASE(evaluations_are_those_of_the_sample_that_took_most) {
  const Scene scene;
  const auto check = [&](const Words& command, const std::string& file) {
    const auto r =
        scene.on_mixture(command + Words{"--sampler", "rk45", "--steps", "2", "--json", "--out", scene.file(file)});
    BOOST_REQUIRE_MESSAGE(r.code == 0, r.err);
    const auto each = scene.read(file, "evaluations").to_vector();
    BOOST_REQUIRE(each.size() == 3U);
    BOOST_TEST(each[1] > std::max(each[0], each[2]));  // neither the first nor the last
    BOOST_TEST(nlohmann::json::parse(r.out)["nfe"] == each[1]);
    BOOST_TEST((Hdf5Reader(scene.file(file)).integer("", "nfe") == static_cast<std::int64_t>(each[1])));
  };
  check({"sample", "-n", "3", "--seed", "1"}, "x.h5");
  check({"encode", "--in", scene.file("x.h5")}, "code.h5");
}

/// What lies in the files goes on: the labels of samples, a code's levels; what was recorded elsewhere is refused.
BOOST_AUTO_TEST_CASE(labels_and_levels_go_with_the_file) {
  const Scene scene;
  const std::string boots = scene.file("boots.h5"), code = scene.file("code.h5"), back = scene.file("back.h5");
  const auto done = [](const Words& words) {
    const auto o = run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  };
  done({"sample", "fashion-unet", "-n", "2", "--class", "9,3", "--steps", "2", "--out", boots});
  done({"encode", "fashion-unet", "--in", boots, "--sampler", "o-belm", "--steps", "3", "--out", code});
  for (const auto& file : {boots, code})
    BOOST_TEST(Hdf5Reader(file).read("class").to_vector() == (std::vector<double>{9, 3}));
  const Words from{"sample", "fashion-unet", "--start", code, "--out", back};
  for (const Words& levels : {Words{"--steps", "3"}, {"--grid", code}}) {
    done(from + Words{"--sampler", "o-belm"} + levels);
    BOOST_TEST(largest_difference(scene.read("back.h5", "x"), scene.read("boots.h5", "x")) < 1e-5);
  }
  done({"sample", "fashion-unet", "-n", "1", "--grid", back, "--sampler", "o-belm", "--out", scene.file("x.h5")});
  BOOST_TEST(scene.read("x.h5", "grid_sigma").to_vector() == scene.read("code.h5", "grid_sigma").to_vector());
  const auto twice = run({"sample", "fashion-unet", "--grid", code, "--steps", "4"});
  BOOST_TEST((twice.code == 2 && twice.err.find("--steps 4: " + code + " holds the levels of 3") != std::string::npos),
             twice.err);
  const auto refused = [&](const Words& how, const std::string& says) {
    const auto o = run(from + how);
    BOOST_TEST(o.code == 1, says);
    BOOST_TEST(o.err.find(says) != std::string::npos, o.err);
  };
  refused({"--sampler", "o-belm"}, "memory of o-belm in 3 steps; this is o-belm in 25: give --steps 3");
  refused({"--sampler", "bdia", "--steps", "3"}, "this is bdia in 3: give --sampler o-belm");
  refused({"--sampler", "o-belm", "--steps", "3", "--grid", "lambda"}, "with other levels: give --grid " + code);
  done({"encode", "fashion-unet", "--in", boots, "--sampler", "ddpm", "--steps", "3", "--out", code});
  refused({"--sampler", "ddpm"}, "noise of ddpm in 3 steps; this is ddpm in 25: give --steps 3");
}

BOOST_AUTO_TEST_CASE(a_condition_says_how_many_samples_there_are) {
  const Scene scene;
  for (const bool scheduled : {false, true}) {
    Hdf5Writer start(scene.file("start.h5"));
    start.write("z", Tensor::zeros(scheduled ? Shape{2, 3, 128} : Shape{3, 128}, DType::f32));
    start.finish();
    const Words words{"sample", "fashion-unet", "--start", scene.file("start.h5"), "--steps", "2", "--json"};
    const auto o = run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    BOOST_TEST(nlohmann::json::parse(o.out)["samples"] == 3);
    const auto two = run(words + Words{"-n", "2"});
    BOOST_TEST((two.code == 2 && two.err.find("holds 3 samples of z") != std::string::npos), two.err);
  }
  Hdf5Writer start(scene.file("start.h5"));
  start.write("x_T", Tensor::zeros({2, 28, 28, 1}, DType::f64));
  start.write("class", Tensor::zeros({3}, DType::i32));
  start.finish();
  const auto o = run({"sample", "fashion-unet", "--start", scene.file("start.h5"), "--steps", "2"});
  BOOST_TEST((o.code == 1 && o.err.find("class has shape (3) for 2 samples") != std::string::npos), o.err);
}

BOOST_AUTO_TEST_CASE(pictures) {
  const Scene scene;
  write_png(scene.file("in.png"), Tensor::full({28, 28, 1}, 0.25, DType::f64));
  const auto r = run({"encode", "fashion-unet", "--in", scene.file("in.png"), "--class", "3", "--sampler", "bdia",
                      "--steps", "2", "--out", scene.file("out.png"), "--out", scene.file("out.h5")});
  BOOST_REQUIRE_MESSAGE(r.code == 0, r.err);
  BOOST_TEST((scene.read("out.h5", "x_T").shape() == Shape{1, 28, 28, 1}));
  BOOST_TEST(std::abs(scene.read("out.h5", "x_0").to_vector()[0] - (2 * std::round(0.25 * 255) / 255 - 1)) < 1e-12);
  BOOST_TEST(fs::exists(scene.file("out.png")));
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  const Scene scene;
  const auto refused = [](const test::Outcome& r, int code, const std::string& part) {
    BOOST_TEST(r.code == code);
    BOOST_TEST(r.err.find(part) != std::string::npos, r.err);
  };
  refused(scene.on_mixture({"encode"}), 2, "--in");
  refused(scene.on_mixture({"encode", "--in", scene.file("data.h5"), "--states", "both"}), 2, "posterior");
  refused(scene.on_mixture({"encode", "--in", scene.file("none.h5")}), 1, "none.h5");
  refused(scene.on_mixture({"encode", "--in", scene.file("data.h5"), "--sampler", "shark"}), 1, "draws 2 times");
  for (const std::string sampler : {"o-belm", "ddim"})
    refused(scene.on_mixture({"encode", "--in", scene.file("data.h5"), "--sampler", sampler, "--states", "posterior"}),
            2, "--states posterior: " + sampler);
  refused(scene.on_mixture({"sample", "--noise", "brownian"}), 2, "tree");
  for (const char* command : {"sample", "grad", "guide"})
    refused(scene.on_mixture({command, "--noise", "tree"}), 2, "ddim draws no noise; take a stochastic sampler");
  refused(scene.on_mixture({"encode", "--in", scene.file("data.h5"), "--sampler", "o-belm", "--noise", "tree"}), 2,
          "o-belm draws no noise");
  Hdf5Writer start(scene.file("start.h5"));
  start.write("x_T", Scene::x_0());
  start.finish();
  for (const Words& command : {Words{"sample"}, {"grad"}, {"guide", "--loss", "norm", "--iterations", "1"}}) {
    const Words from = command + Words{"--start", scene.file("start.h5"), "--steps", "2", "-n"};
    refused(scene.on_mixture(from + Words{"2"}), 2, "-n 2: " + scene.file("start.h5") + " holds 3 samples of x_T");
    BOOST_TEST(scene.on_mixture(from + Words{"3"}).code == 0);
  }
  BOOST_REQUIRE(
      scene.on_mixture({"encode", "--in", scene.file("data.h5"), "--sampler", "bdia", "--out", scene.file("c.h5")})
          .code == 0);
  refused(scene.on_mixture({"grad", "--start", scene.file("c.h5"), "--sampler", "bdia"}), 1, "memory");
  refused(scene.on_mixture({"sample", "--start", scene.file("c.h5"), "--sampler", "ddim"}), 1, "memory");
}

BOOST_AUTO_TEST_SUITE_END()
