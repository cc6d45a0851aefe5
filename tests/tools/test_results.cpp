// What the command computes on the bundled network: the same bits however it is run, the reference's numbers, exact gradients.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/random.h"
#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "tests/support/inputs.h"
#include "tests/support/paths.h"
#include "tests/tools/command.h"

using costate::Hdf5Reader;
using costate::Hdf5Writer;
using costate::same_bits;
using costate::Tensor;
using costate::test::Folder;
using costate::test::run;

namespace {

/// Runs the command with --out FILE.h5 and returns that file.
Hdf5Reader result(const Folder& folder, std::vector<std::string> arguments) {
  static int count = 0;
  const std::string file = (folder / ("result" + std::to_string(count++) + ".h5")).string();
  arguments.insert(arguments.end(), {"--out", file});
  const auto o = run(arguments);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  return Hdf5Reader(file);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(results)

BOOST_AUTO_TEST_CASE(samples_have_the_same_bits_for_any_threads_and_batch) {
  const Folder folder;
  for (const std::string sampler : {"ddim", "heun"}) {
    std::vector<std::string> base{"sample",     "fashion-unet", "-n",     "5", "--steps",   "3",
                                  "--guidance", "1.5",          "--seed", "7", "--sampler", sampler};
    if (sampler == "ddim") base.insert(base.end(), {"--eta", "0.6"});
    const Tensor x = result(folder, base).read("x");
    for (const std::vector<std::string>& how : std::vector<std::vector<std::string>>{{"--threads", "1"},
                                                                                     {"--threads", "2"},
                                                                                     {"--threads", "3"},
                                                                                     {"--threads", "4"},
                                                                                     {"--batch", "1"},
                                                                                     {"--batch", "2"},
                                                                                     {"--batch", "4"},
                                                                                     {}}) {
      auto arguments = base;
      arguments.insert(arguments.end(), how.begin(), how.end());
      BOOST_TEST(same_bits(result(folder, arguments).read("x"), x),
                 sampler << (how.empty() ? " again" : " " + how[0] + " " + how[1]));
    }
    auto fewer = base;
    fewer[3] = "2";
    BOOST_TEST(same_bits(result(folder, fewer).read("x"), x.rows(0, 2)),
               "the first two of five samples are the two of two");
    auto other = base;
    other[9] = "8";
    BOOST_TEST(!same_bits(result(folder, other).read("x"), x), "another seed gives other samples");
  }
}

BOOST_AUTO_TEST_CASE(gradients_have_the_same_bits_for_any_threads) {
  const Folder folder;
  const std::vector<std::string> base{"grad", "fashion-unet", "-n", "2",          "--class",
                                      "3,8",  "--steps",      "2",  "--guidance", "2"};
  const Hdf5Reader one = result(folder, base);
  for (const std::string threads : {"1", "2", "3", "4"}) {
    auto arguments = base;
    arguments.insert(arguments.end(), {"--threads", threads});
    const Hdf5Reader other = result(folder, arguments);
    BOOST_TEST(other.datasets() == one.datasets());
    for (const auto& name : one.datasets())
      BOOST_TEST(same_bits(other.read(name), one.read(name)), name << " at " << threads << " threads");
  }
}

// More samples than go through the network at a time: groups of them, under one loss.
BOOST_AUTO_TEST_CASE(gradients_have_the_same_bits_for_any_count) {
  const Folder folder;
  const auto gradient = [&](const char* count, const char* adjoint) {
    return result(folder, {"grad", "fashion-unet", "-n", count, "--class", "3,7", "--guidance", "1.5", "--steps", "2",
                           "--wrt", "x_T,z", "--loss", "sum", "--adjoint", adjoint});
  };
  for (const char* adjoint : {"checkpointed", "adjointdeis-1"}) {
    const Hdf5Reader many = gradient("23", adjoint), few = gradient("3", adjoint);
    for (const char* name : {"x_0", "g_x_T", "g_z"}) {
      const Tensor all = many.read(name);
      BOOST_TEST(all.dim(0) == 23);
      BOOST_TEST(same_bits(all.rows(0, 3), few.read(name)), adjoint << ", " << name);
    }
  }
}

// Steps are chosen for each sample by itself, there and back.
BOOST_AUTO_TEST_CASE(chosen_steps_are_the_same_for_any_count) {
  const Folder folder;
  const std::string problem = (folder / "problem.json").string();
  costate::test::spill(problem,
                       R"({"family": "gaussian_mixture", "weights": [0.4, 0.6], "means": [[1.5, -1], [-2, 0.5]],
    "covariances": [[[0.2, 0], [0, 0.3]], [[0.1, 0.05], [0.05, 0.4]]]})");
  for (const auto& [sampler, adjoint] :
       {std::pair{"rk45", "checkpointed"}, {"tsit5", "direct"}, {"ddim", "backsolve"}, {"heun", "interpolated"}}) {
    const auto gradient = [&, s = sampler, a = adjoint](const char* count) {
      return result(folder,
                    {"grad", problem, "-n", count, "--seed", "1", "--steps", "3", "--sampler", s, "--adjoint", a});
    };
    const Hdf5Reader many = gradient("3"), one = gradient("1");
    for (const char* name : {"x_0", "g_x_T"})
      BOOST_TEST(same_bits(many.read(name).rows(0, 1), one.read(name)), sampler << ", " << adjoint << ", " << name);
    const auto sampled =
        result(folder, {"sample", problem, "-n", "3", "--seed", "1", "--steps", "3", "--sampler", sampler});
    BOOST_TEST(same_bits(many.read("x_0"), sampled.read("x")), sampler << ", " << adjoint);
  }
  const auto by_rk45 = [&](std::vector<std::string> words) {
    words.insert(words.begin() + 1, {problem, "--steps", "3", "--sampler", "rk45"});
    return result(folder, words);
  };
  const Hdf5Reader guided = by_rk45({"guide", "-n", "3", "--loss", "norm", "--iterations", "2"});
  const std::string from = (folder / "from.h5").string();
  Hdf5Writer start(from);
  start.write("x_T", guided.read("x_T"));
  start.finish();
  BOOST_TEST(same_bits(by_rk45({"sample", "--start", from}).read("x"), guided.read("x_0")));
}

BOOST_AUTO_TEST_CASE(both_exact_gradients_equal_a_central_difference) {
  const Folder folder;
  const std::vector<std::string> base{"grad",       "fashion-unet", "--class", "7",   "--steps", "4",
                                      "--guidance", "1.5",          "--dtype", "f64", "--wrt",   "x_T,z"};
  const auto at = [&](const std::string& start, const std::string& adjoint) {
    auto arguments = base;
    arguments.insert(arguments.end(), {"--start", start, "--adjoint", adjoint});
    return result(folder, arguments);
  };
  const auto write_start = [&](const std::string& name, const Tensor& x_T) {
    Hdf5Writer out(folder / name);
    out.write("x_T", x_T);
    out.finish();
    return (folder / name).string();
  };
  std::vector<double> x(784), v(784);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::sin(3.7 * static_cast<double>(i)) + std::cos(0.31 * static_cast<double>(i)),
    v[i] = std::cos(1.3 * static_cast<double>(i));
  const auto along = [&](double h) {
    auto moved = x;
    for (std::size_t i = 0; i < x.size(); ++i) moved[i] += h * v[i];
    return Tensor::from(moved, {1, 28, 28, 1});
  };
  const std::string start = write_start("start.h5", along(0));
  const Hdf5Reader checkpointed = at(start, "checkpointed"), direct = at(start, "direct");
  for (const char* name : {"g_x_T", "g_z", "g_z_null", "x_0"})
    BOOST_TEST(same_bits(checkpointed.read(name), direct.read(name)), name);
  const auto g = direct.read("g_x_T").to_vector();
  double slope = 0;
  for (std::size_t i = 0; i < g.size(); ++i) slope += g[i] * v[i];
  // Six points: error O(h^6), so h may be large enough for the rounding to stay below 1e-9.
  const double h = 2e-3;
  double difference = 0;
  for (const auto& [k, weight] : {std::pair{1, 0.75}, {2, -0.15}, {3, 1.0 / 60}}) {
    const double up = at(write_start("up.h5", along(k * h)), "direct").read("loss").item();
    const double down = at(write_start("down.h5", along(-k * h)), "direct").read("loss").item();
    difference += weight * (up - down) / h;
  }
  BOOST_TEST(std::abs(difference / slope - 1) < 1e-8, difference << " against " << slope);
}

BOOST_AUTO_TEST_CASE(results_say_where_they_come_from) {
  const Folder folder;
  const Hdf5Reader r = result(folder, {"sample", "fashion-unet", "-n", "1", "--steps", "1", "--seed", "5"});
  BOOST_TEST(r.text("", "command").value().starts_with("costate sample fashion-unet -n 1 "));
  BOOST_TEST(r.natural("", "seed").value() == 5U);
  BOOST_TEST(r.text("", "model").value() == "fashion-unet");
  BOOST_TEST(r.text("", "version").has_value());
  const Hdf5Reader last =
      result(folder, {"sample", "fashion-unet", "-n", "1", "--steps", "1", "--seed", "18446744073709551615"});
  BOOST_TEST(last.natural("", "seed").value() == ~std::uint64_t{0});
}

BOOST_AUTO_TEST_CASE(what_a_result_says_makes_it_again) {
  const Folder folder;
  const std::string file = (folder / "it's $HOME; *.h5").string();
  const auto o = run({"sample", "fashion-unet", "-n", "1", "--steps", "1", "--out", file});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  std::string line = Hdf5Reader(file).text("", "command").value();
  const std::string program = "costate";
  BOOST_REQUIRE(line.starts_with(program + " "));
  costate::test::fs::remove(file);
  line.replace(0, program.size(), "'" + costate::command_path().string() + "'");
  BOOST_TEST(std::system((line + " > /dev/null").c_str()) == 0);
  BOOST_TEST(costate::test::fs::exists(file));
}

BOOST_AUTO_TEST_CASE(conversion_is_exact_both_ways) {
  const Folder folder;
  const std::string a = (folder / "a.safetensors").string(), b = (folder / "b.h5").string();
  BOOST_TEST(run({"convert", "fashion-unet", "--out", a}).code == 0);
  const auto back = run({"convert", a, "--out", b});
  BOOST_TEST(back.code == 0, back.err);
  const auto bundled = costate::Checkpoint::open(costate::source_dir().string() + "/nn/models/fashion-unet.h5"),
             there = costate::Checkpoint::open(a), again = costate::Checkpoint::open(b);
  BOOST_TEST(bundled.keys().size() == 215U);
  for (const auto& key : bundled.keys()) {
    BOOST_TEST(same_bits(there.read(key), bundled.read(key)), key);
    BOOST_TEST(same_bits(again.read(key), bundled.read(key)), key);
  }
  const auto x = result(folder, {"sample", b, "-n", "1", "--steps", "2"}).read("x");
  BOOST_TEST(same_bits(x, result(folder, {"sample", "fashion-unet", "-n", "1", "--steps", "2"}).read("x")));
}

BOOST_AUTO_TEST_CASE(a_trained_classifier_says_where_it_is_from) {
  const Folder folder;
  const auto idx = [&](const std::string& name, const std::vector<int>& shape, std::size_t bytes) {
    std::string file{'\0', '\0', '\x08', static_cast<char>(shape.size())};
    for (const int n : shape) file += std::string{'\0', '\0', '\0', static_cast<char>(n)};
    for (std::size_t i = 0; i < bytes; ++i) file += static_cast<char>(i % 3);
    costate::test::spill(folder / name, file);
    return (folder / name).string();
  };
  const Hdf5Reader file =
      result(folder, {"train-classifier", "--images", idx("images", {6, 8, 8}, 384), "--labels", idx("labels", {6}, 6),
                      "--epochs", "1", "--batch", "2", "--held-out", "2", "--seed", "3"});
  BOOST_TEST((file.text("", "model") == "image_classifier" && file.integer("", "seed") == 3));
  BOOST_TEST(file.text("", "command")->find("train-classifier") != std::string::npos);
}

// Rows go there and back a few at a time: a large batch gives the bits of a small one, and needs no more memory than a part of it.
BOOST_AUTO_TEST_CASE(whole_numbers_are_numbers_to_a_network) {
  const Folder folder;
  const std::string in = (folder / "in.h5").string();
  const auto evaluated = [&](costate::DType dtype) {
    Hdf5Writer out(in);
    out.write("x", Tensor::full({1, 28, 28, 1}, 1, dtype));
    out.write("g", Tensor::full({1, 28, 28, 1}, 2, dtype));
    out.write("z", Tensor::full({1, 128}, 1, dtype));
    out.write("t", Tensor::full({1}, 500, dtype));
    out.finish();
    return result(folder, {"eval", "fashion-unet", "--in", in, "--vjp", "--wrt", "x,z"});
  };
  const Hdf5Reader whole = evaluated(costate::DType::i32), real = evaluated(costate::DType::f64);
  for (const char* name : {"y", "g_x", "g_z"}) BOOST_TEST(same_bits(whole.read(name), real.read(name)), name);
}

BOOST_AUTO_TEST_CASE(evaluations_have_the_same_bits_for_any_batch) {
  const Folder folder;
  const auto evaluate = [&](std::int64_t rows) {
    const std::string in = (folder / "in.h5").string(), out = (folder / "out.h5").string();
    {
      const Tensor x = costate::normal_noise(1, 0, rows, 0, {28, 28, 1}),
                   g = costate::normal_noise(1, 0, rows, 1, {28, 28, 1});
      Hdf5Writer file(in);
      file.write("x", x);
      file.write("g", g);
      file.write("t", Tensor::full({rows}, 500.0));
      file.write("class", Tensor::zeros({rows}, costate::DType::i32));
      file.finish();
    }
    const auto o =
        run({"eval", "fashion-unet", "--in", in, "--vjp", "--wrt", "x", "--repeat", "1", "--json", "--out", out});
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    const Hdf5Reader file(out);
    return std::tuple(file.read("y"), file.read("g_x"),
                      nlohmann::json::parse(o.out)["peak_bytes"]["vjp"].get<std::int64_t>());
  };
  const auto [y, g_x, peak] = evaluate(50);
  const auto [few_y, few_g_x, few_peak] = evaluate(30);
  BOOST_TEST(same_bits(y.rows(0, 30), few_y));
  BOOST_TEST(same_bits(g_x.rows(0, 30), few_g_x));
  BOOST_TEST(peak < 80 << 20);  // all at once: 158 MiB
}

BOOST_AUTO_TEST_SUITE_END()
