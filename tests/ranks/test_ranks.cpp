// costate-mpi: the same bits at any number of ranks, one message and one code when one of them fails, work that goes on after a kill.
#include <boost/test/unit_test.hpp>

#include <nlohmann/json.hpp>

#include "io/hdf5.h"
#include "tests/support/inputs.h"
#include "tests/tools/interrupted.h"

namespace costate {
namespace {

using test::Folder;
using Words = std::vector<std::string>;

const std::string mpi = (command_path().parent_path() / "costate-mpi").string();

Words with_ranks(int count, const Words& arguments) {
  Words all{COSTATE_MPIEXEC, "--allow-run-as-root", "--oversubscribe", "-n", std::to_string(count), mpi};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

test::Outcome run_words(const Words& words) { return test::run({words.begin() + 1, words.end()}, 0, words[0]); }

/// All datasets, and the attributes that do not name the command.
void require_same_results(const std::string& file, const std::string& other) {
  const Hdf5Reader a(file), b(other);
  BOOST_TEST(a.datasets() == b.datasets(), boost::test_tools::per_element());
  for (const auto& name : a.datasets()) BOOST_TEST(same_bits(a.read(name), b.read(name)), name);
  for (const char* name : {"nfe", "seed"}) BOOST_TEST((a.integer("", name) == b.integer("", name)), name);
}

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string mixture(const Folder& folder) {
  const std::string file = (folder / "mixture.json").string();
  test::spill(file, R"({"family": "gaussian_mixture", "weights": [0.5, 0.5], "means": [[1, 0.3], [-0.7, 0.9]],
    "covariances": [[[0.02, 0], [0, 0.03]], [[0.05, 0.01], [0.01, 0.02]]]})");
  return file;
}

/// Writes with `costate`, and with every number of ranks.
void check_every_count(const Folder& folder, Words arguments, const std::string& name) {
  const auto file = [&](const std::string& of) { return (folder / (name + of + ".h5")).string(); };
  arguments.insert(arguments.end(), {"--threads", "1", "--out", file("alone")});
  BOOST_REQUIRE(test::run(arguments).code == 0);
  for (int count = 1; count <= 4; ++count) {
    arguments.back() = file(std::to_string(count));
    const auto o = run_words(with_ranks(count, arguments));
    BOOST_REQUIRE_MESSAGE(o.code == 0, name << ", " << count << " ranks: " << o.err);
    BOOST_TEST(count_of(o.out, "wrote ") == 1);
    BOOST_TEST(o.err.empty(), o.err);
    BOOST_TEST_CONTEXT(name << ", " << count << " ranks") {
      require_same_results(file(std::to_string(count)), file("alone"));
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ranks_of_mpi)

BOOST_AUTO_TEST_CASE(bits_do_not_depend_on_their_number) {
  const Folder folder;
  const std::string exact = mixture(folder);
  check_every_count(folder, {"sample", "fashion-unet", "-n", "5", "--steps", "2", "--batch", "2"}, "net");
  check_every_count(folder, {"sample", exact, "-n", "7", "--steps", "4", "--sampler", "ddpm", "--trajectory"}, "path");
  check_every_count(folder, {"sample", exact, "-n", "3", "--steps", "4", "--sampler", "dpm-adaptive"}, "adaptive");
  const std::string data = (folder / "pathalone.h5").string(), x = (folder / "data.h5").string();
  {
    Hdf5Writer out(x);
    const Tensor states = Hdf5Reader(data).read("x");
    const Tensor last = states.rows(states.dim(0) - 1, 1);
    out.write("x", last.reshaped({7, 2}));
    out.finish();
  }
  check_every_count(folder, {"encode", exact, "--in", x, "--sampler", "ddpm", "--steps", "3", "--batch", "2"}, "code");
}

BOOST_AUTO_TEST_CASE(one_document_and_one_picture) {
  const Folder folder;
  const std::string png = (folder / "a.png").string();
  const auto o =
      run_words(with_ranks(3, {"sample", "fashion-unet", "-n", "3", "--steps", "1", "--json", "--out", png}));
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const auto j = nlohmann::json::parse(o.out);
  BOOST_TEST(j["ranks"] == 3);
  BOOST_TEST(j["samples"] == 3);
  BOOST_REQUIRE(
      test::run({"sample", "fashion-unet", "-n", "3", "--steps", "1", "--out", (folder / "b.png").string()}).code == 0);
  BOOST_TEST((test::slurp(png) == test::slurp(folder / "b.png")));
}

BOOST_AUTO_TEST_CASE(what_all_do_wrong_is_said_once) {
  const auto usage = run_words(with_ranks(3, {"sample", "fashion-unet", "--samplr", "ddim"}));
  BOOST_TEST(usage.code == 2);
  BOOST_TEST(count_of(usage.err, "costate: ") == 1, usage.err);
  const auto missing = run_words(with_ranks(3, {"sample", "no-such-model"}));
  BOOST_TEST(missing.code == 1);
  BOOST_TEST(count_of(missing.err, "costate: ") == 1, missing.err);
  const auto other = run_words(with_ranks(2, {"grad", "fashion-unet", "-n", "1"}));
  BOOST_TEST(other.code == 2);
  BOOST_TEST(count_of(other.err, "costate: grad does not share its work") == 1, other.err);
  BOOST_TEST(run_words(with_ranks(2, {"--version"})).out == test::run({"--version"}).out);
}

BOOST_AUTO_TEST_CASE(one_that_fails_ends_all) {
  const Folder folder;
  const std::string exact = mixture(folder), start = (folder / "start.h5").string(), out = (folder / "x.h5").string();
  // On the way: the NaN is in the last rank's samples.
  {
    std::vector<double> x_T(12, 0.5);
    x_T[9] = NAN;
    Hdf5Writer file(start);
    file.write("x_T", Tensor::from(x_T, {6, 2}));
    file.finish();
  }
  const auto nan = run_words(with_ranks(3, {"sample", exact, "--start", start, "--steps", "2", "--out", out}));
  BOOST_TEST(nan.code == 1);
  BOOST_TEST(count_of(nan.err, "costate: rank 2: ") == 1, nan.err);
  BOOST_TEST(count_of(nan.err, "costate: ") == 1, nan.err);
  // Before the first batch: the second rank's model is not there.
  Words apart{COSTATE_MPIEXEC, "--allow-run-as-root", "--oversubscribe"};
  for (const std::string& model : {exact, std::string("no-such-model")}) {
    if (model != exact) apart.emplace_back(":");
    apart.insert(apart.end(), {"-n", "1", mpi, "sample", model, "-n", "2", "--steps", "2", "--out", out});
  }
  const auto lost = run_words(apart);
  BOOST_TEST(lost.code == 1);
  BOOST_TEST(count_of(lost.err, "costate: rank 1: ") == 1, lost.err);
  BOOST_TEST(!test::fs::exists(out));
}

BOOST_AUTO_TEST_CASE(what_was_killed_goes_on_with_other_ranks) {
  const Folder folder;
  const std::string alone = (folder / "alone.h5").string(), shared = (folder / "shared.h5").string();
  // Long enough for mpirun to hand the signal on before the end: it takes tenths of a second.
  Words arguments{"sample", "fashion-unet", "-n", "64",    "--steps", "12", "--batch",
                  "1",      "--threads",    "1",  "--out", alone};
  BOOST_REQUIRE(test::run(arguments).code == 0);
  arguments.back() = shared;
  arguments.emplace_back("--resume");
  test::kill_once_kept(with_ranks(3, arguments), shared + ".part", SIGTERM);  // which mpirun hands on as SIGKILL
  BOOST_REQUIRE(!test::fs::exists(shared));
  BOOST_TEST(Hdf5Reader(shared + ".part").shape("x_0")[0] >= 3);
  const auto o = run_words(with_ranks(2, arguments));
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  require_same_results(shared, alone);
  BOOST_TEST(!test::fs::exists(shared + ".part"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
