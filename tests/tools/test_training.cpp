// costate train-classifier on a set of stripes and squares that is made here.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "core/random.h"
#include "tests/tools/command.h"

using namespace costate;
using costate::test::Folder;
using costate::test::run;
using costate::test::slurp;
using costate::test::spill;
using nlohmann::json;

namespace {

constexpr int images = 180, side = 12;

/// IDX of bytes: its magic, extents, numbers.
std::string idx(const std::vector<std::uint32_t>& shape, const std::string& bytes) {
  std::string file{0, 0, 8, static_cast<char>(shape.size())};
  for (const std::uint32_t extent : shape)
    for (const int shift : {24, 16, 8, 0}) file += static_cast<char>(extent >> shift & 255);
  return file + bytes;
}

/// Rows, columns or a square, in noise.
std::string write_set(const Folder& folder) {
  const auto noise = normal_noise(4, 0, images, 0, {side, side}).to_vector();
  std::string pixels, labels;
  for (int n = 0; n < images; ++n) {
    labels += static_cast<char>(n * 7 % 3);
    for (int i = 0; i < side; ++i)
      for (int j = 0; j < side; ++j) {
        const bool on[] = {i / 2 % 2 == 0, j / 2 % 2 == 0, i > 2 && i < 9 && j > 2 && j < 9};
        const double value =
            (on[n * 7 % 3] ? 170 : 60) + 25 * noise[static_cast<std::size_t>((n * side + i) * side + j)];
        pixels += static_cast<char>(static_cast<unsigned char>(std::min(std::max(value, 0.0), 255.0)));
      }
  }
  spill(folder / "images", idx({images, side, side}, pixels));
  spill(folder / "labels", idx({images}, labels));
  return labels;
}

std::vector<std::string> training(const Folder& folder, const std::string& out,
                                  const std::vector<std::string>& more = {}) {
  std::vector<std::string> all{"train-classifier",
                               "--images",
                               (folder / "images").string(),
                               "--labels",
                               (folder / "labels").string(),
                               "--epochs",
                               "6",
                               "--batch",
                               "20",
                               "--held-out",
                               "40",
                               "--out",
                               (folder / out).string(),
                               "--json"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(classifiers_are_trained)

BOOST_AUTO_TEST_CASE(a_classifier_learns_and_is_the_same_again) {
  const Folder folder;
  write_set(folder);
  const auto first = run(training(folder, "a.h5"));
  BOOST_TEST_REQUIRE(first.code == 0, first.err);
  const json told = json::parse(first.out);
  BOOST_TEST(told["trained_on"] == images - 40);
  BOOST_TEST(told["accuracy"].get<double>() >= 0.95);
  BOOST_TEST(told["loss"].get<double>() < 0.3);
  // the bits are the seed's, whatever the threads
  const auto with = [&](const char* out, const std::vector<std::string>& more) {
    const auto again = run(training(folder, out, more));
    BOOST_TEST_REQUIRE(again.code == 0, again.err);
    return json::parse(again.out)["loss"].get<double>();
  };
  BOOST_TEST(with("b.h5", {"--threads", "1"}) == told["loss"].get<double>());
  BOOST_TEST(with("c.h5", {"--seed", "1"}) != told["loss"].get<double>());
  // what was written is a network that the other subcommands take
  const auto known = run({"info", (folder / "a.h5").string(), "--json"});
  BOOST_TEST_REQUIRE(known.code == 0, known.err);
  BOOST_TEST(json::parse(known.out)["family"] == "image_classifier");
}

BOOST_AUTO_TEST_CASE(sets_that_do_not_fit_are_refused) {
  const Folder folder;
  const std::string labels = write_set(folder);
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    const auto o = run(training(folder, "x.h5", more));
    BOOST_TEST((o.code != 0 && o.err.find(part) != std::string::npos), o.code << ": " << o.err);
    BOOST_TEST(!std::filesystem::exists(folder / "x.h5"));
  };
  refused({"--held-out", "180"}, "held");
  refused({"--batch", "1000"}, "batch");
  refused({"--epochs", "0"}, "epochs");
  spill(folder / "labels", idx({images - 1}, labels.substr(1)));
  refused({}, "labels");
}

BOOST_AUTO_TEST_SUITE_END()
