// --resume: a run that was killed goes on from what it had kept, and ends with the same bits.
#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include <fmt/format.h>

#include "io/hdf5.h"
#include "tests/support/inputs.h"
#include "tests/tools/interrupted.h"
#include "tools/model/files.h"

namespace costate {
namespace {

using test::Folder;

std::vector<std::string> command(const std::string& out) {
  return {"sample", "fashion-unet", "-n",        "8", "--steps", "4", "--batch",
          "1",      "--trajectory", "--threads", "1", "--out",   out};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(resumed_runs)

BOOST_AUTO_TEST_CASE(a_killed_run_goes_on) {
  const Folder folder;
  const std::string whole = (folder / "whole.h5").string(), killed = (folder / "killed.h5").string(),
                    part = killed + ".part";
  BOOST_REQUIRE(test::run(command(whole)).code == 0);
  auto words = command(killed);
  words.emplace_back("--resume");
  words.insert(words.begin(), command_path().string());
  test::kill_once_kept(words, part);
  BOOST_REQUIRE(!test::fs::exists(killed));
  const Shape kept = Hdf5Reader(part).shape("trajectory");
  BOOST_TEST(kept[1] >= 1);
  BOOST_TEST(kept[1] < 8);

  // Another command is refused, and what is kept is left alone.
  auto other = std::vector<std::string>(words.begin() + 1, words.end());
  other.insert(other.end(), {"--seed", "1"});
  const auto refused = test::run(other);
  BOOST_TEST(refused.code == 1);
  BOOST_TEST(refused.err.find("was kept by another command") != std::string::npos, refused.err);

  // In other batches, and by other threads, it is the same work.
  std::vector<std::string> same{words.begin() + 1, words.end()};
  std::replace(same.begin(), same.end(), std::string("1"), std::string("2"));  // of --batch and of --threads
  same.emplace_back("--json");
  const auto o = test::run(same);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const Hdf5Reader a(killed), b(whole);
  BOOST_TEST(a.datasets() == b.datasets(), boost::test_tools::per_element());
  for (const auto& name : a.datasets()) BOOST_TEST(same_bits(a.read(name), b.read(name)), name);
  BOOST_TEST((a.integer("", "nfe") == b.integer("", "nfe")));
  BOOST_TEST(!test::fs::exists(part));
}

// A file that nothing is missing in: no sample is computed again, or this one's false numbers would be overwritten.
BOOST_AUTO_TEST_CASE(what_is_kept_is_taken_as_it_is) {
  const Folder folder;
  const std::string out = (folder / "x.h5").string();
  const std::vector<std::string> words{"sample", "fashion-unet", "-n", "2", "--steps", "1", "--out", out, "--resume"};
  std::string line = "costate";  // from wherever it was run
  for (const auto& w : words) line += " " + w;
  {
    Hdf5Writer part(out + ".part");
    part.attribute("", "command", line);
    part.attribute("", "sources", fmt::format("{:016x} fashion-unet\n", state_of_files("fashion-unet", true)));
    part.write("x_0", Tensor::full({2, 28, 28, 1}, 0.25, DType::f64));
    part.write("evaluations", Tensor::full({2}, 1, DType::i32));
    part.finish();
  }
  const auto o = test::run(words);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  BOOST_TEST(Hdf5Reader(out).read("x").to_vector() == std::vector<double>(2 * 28 * 28, 0.25),
             boost::test_tools::per_element());
  test::spill(out + ".part", "no HDF5");
  const auto garbage = test::run(words);
  BOOST_TEST((garbage.code == 1 && garbage.err.find("remove " + out + ".part") != std::string::npos), garbage.err);
}

// The same words, but one of the files that they name is another: half of the samples would be of that one.
BOOST_AUTO_TEST_CASE(other_files_under_the_same_names_are_refused) {
  const Folder folder;
  const auto file = [&](const std::string& name) { return (folder / name).string(); };
  const auto write = [&](const std::string& name, double value) {
    Hdf5Writer out(file(name));
    out.write("x_T", Tensor::full({3, 1}, value, DType::f64));
    out.finish();
  };
  const auto spill = [&](const std::string& name, const std::string& mean) {
    test::spill(file(name), R"({"family": "gaussian", "mean": [)" + mean + R"(], "covariance": [[1]]})");
  };
  write("start.h5", 1), spill("m.json", "0");
  const std::vector<std::string> words{"sample", file("m.json"), "--start", file("start.h5"), "--steps",
                                       "100000", "--batch",      "1",       "--threads",      "1",
                                       "--out",  file("x.h5"),   "--resume"};
  auto all = words;
  all.insert(all.begin(), command_path().string());
  test::kill_once_kept(all, file("x.h5.part"));
  const auto expect = [&](const std::string& changed) {
    const auto o = test::run(words);
    BOOST_TEST(o.code == 1);
    BOOST_TEST(o.err.find(file(changed) + " has changed since") != std::string::npos, o.err);
  };
  const auto read_at = test::fs::last_write_time(file("start.h5"));
  write("start.h5", 2);
  expect("start.h5");
  write("start.h5", 1), test::fs::last_write_time(file("start.h5"), read_at);
  spill("m.json", "0.5");
  expect("m.json");
}

// A program that draws stands still, so that the picture is half there when the signal comes.
BOOST_AUTO_TEST_CASE(an_interrupted_run_leaves_no_half_of_a_file) {
  const Folder folder, programs;
  const std::string started = (programs / "started").string(), gnuplot = (programs / "gnuplot").string();
  test::spill(gnuplot, "#!/bin/sh\n: > " + started + "\nsleep 3\n");
  test::fs::permissions(gnuplot, test::fs::perms::owner_all);
  const std::string path = std::getenv("PATH");
  setenv("PATH", ((programs / "").string() + ":" + path).c_str(), 1);
  for (const int signal : {SIGINT, SIGTERM}) {
    test::fs::remove(started);
    test::kill_once_kept({command_path().string(), "study", "order", "--sampler", "ddim", "--schedule", "flow",
                          "--prediction", "epsilon", "--steps", "160", "--out", (folder / "x.svg").string()},
                         started, signal);
    BOOST_TEST(folder.files().empty(), "signal " << signal << " leaves " << folder.files().size());
  }
  setenv("PATH", path.c_str(), 1);
}

BOOST_AUTO_TEST_CASE(there_has_to_be_a_file_to_keep_it_beside) {
  const auto o = test::run({"sample", "fashion-unet", "-n", "1", "--steps", "1", "--resume", "--out", "x.png"});
  BOOST_TEST(o.code == 2);
  BOOST_TEST(o.err.find("--out FILE.h5") != std::string::npos, o.err);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
