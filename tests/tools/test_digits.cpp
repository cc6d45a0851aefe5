// Digits that one published network draws are read by another: classes of mnist-cond-vit under mnist-classifier.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <iostream>

#include "io/hdf5.h"
#include "tests/support/paths.h"
#include "tests/tools/command.h"

using namespace costate;

BOOST_AUTO_TEST_SUITE(digits)

BOOST_AUTO_TEST_CASE(sampled_digits_are_those_that_were_asked_for) {
  const auto weights = shared_dir() / "weights";
  if (!std::filesystem::exists(weights)) {
    std::cerr << "SKIPPED: " << weights.string() << " is not there (set COSTATE_SHARED)\n";
    return;
  }
  const test::Folder folder;
  const std::string drawn = (folder / "drawn.h5").string(), in = (folder / "in.h5").string(),
                    logits = (folder / "logits.h5").string();
  const auto sampled =
      test::run({"sample", (weights / "mnist-cond-vit/DiffusionViT.pth").string(), "-n", "40", "--steps", "20",
                 "--guidance", "1.5", "--class", "0,1,2,3,4,5,6,7,8,9", "--out", drawn});
  BOOST_REQUIRE_MESSAGE(sampled.code == 0, sampled.err);
  const Tensor x = Hdf5Reader(drawn).read("x");
  std::vector<double> pixels = x.to_vector();
  for (double& v : pixels) v = (std::clamp(v, 0.0, 1.0) - 0.1307) / 0.3081;  // as the classifier was trained
  Hdf5Writer out(in);
  out.write("x", Tensor::from(pixels, x.shape()));
  out.finish();
  const auto read = test::run({"eval", (weights / "mnist-classifier/mnist.pt").string(), "--in", in, "--out", logits});
  BOOST_REQUIRE_MESSAGE(read.code == 0, read.err);
  const auto y = Hdf5Reader(logits).read("y").to_vector();
  BOOST_REQUIRE(y.size() == 400U);
  int right = 0;
  for (std::ptrdiff_t i = 0; i < 40; ++i) {
    const auto row = y.begin() + 10 * i;
    right += std::max_element(row, row + 10) - row == i % 10 ? 1 : 0;
  }
  BOOST_TEST(right >= 38);  // 95 %
}

BOOST_AUTO_TEST_SUITE_END()
