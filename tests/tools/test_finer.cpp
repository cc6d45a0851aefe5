// From coarse to fine: the Haar inverse, and a chain of denoisers against Euler's method written out. Chains need shared/.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <iostream>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "core/random.h"
#include "io/hdf5.h"
#include "tests/tools/command.h"
#include "tools/model/finer.h"

using namespace costate;
namespace fs = std::filesystem;
using costate::test::Folder;
using costate::test::largest_difference;
using costate::test::run;

namespace {

const fs::path faces = shared_dir() / "weights/celeba-multiscale";

std::string weights(const std::string& name) { return (faces / (name + ".pt")).string(); }

bool available() {
  const bool there = fs::exists(faces);
  if (!there) std::cerr << "SKIPPED: chains of denoisers: no " << faces.string() << " (set COSTATE_SHARED)\n";
  return there;
}

Tensor chain(const Folder& folder, const std::vector<std::string>& more) {
  const std::string out = (folder / "out.h5").string();
  std::vector<std::string> words{"sample",        weights("low40"),
                                 "--steps",       "2",
                                 "--finer",       weights("c320_rf13_scale2"),
                                 "--finer",       weights("c320_rf13_scale1"),
                                 "--finer-steps", "2",
                                 "--out",         out};
  words.insert(words.end(), more.begin(), more.end());
  const auto o = run(words);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  return Hdf5Reader(out).read("x");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(finer)

BOOST_AUTO_TEST_CASE(an_image_is_its_means_and_details) {
  const Tensor image = normal_noise(3, 0, 2, 0, {6, 4, 2});
  const auto v = image.to_vector();
  const auto at = [&](std::int64_t n, std::int64_t i, std::int64_t j, std::int64_t c) {
    return v[static_cast<std::size_t>(((n * 6 + i) * 4 + j) * 2 + c)];
  };
  std::vector<double> low, details;
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t i = 0; i < 6; i += 2)
      for (std::int64_t j = 0; j < 4; j += 2)
        for (int k = 0; k < 4; ++k)
          for (std::int64_t ch = 0; ch < 2; ++ch) {
            const double a = at(n, i, j, ch), b = at(n, i, j + 1, ch), c = at(n, i + 1, j, ch),
                         d = at(n, i + 1, j + 1, ch);
            const double parts[] = {a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d};
            (k == 0 ? low : details).push_back(parts[k] / 4);
          }
  BOOST_TEST(largest_difference(from_haar(Tensor::from(low, {2, 3, 2, 2}), Tensor::from(details, {2, 3, 2, 6})),
                                image) <= 1e-15);
  BOOST_CHECK_THROW(static_cast<void>(from_haar(Tensor::zeros({1, 2, 2, 1}), Tensor::zeros({1, 2, 2, 2}))), Error);
}

BOOST_AUTO_TEST_CASE(every_image_is_stretched_by_itself) {
  const Tensor x = Tensor::from({1, 2, 5, -3, -1, 0, 7, 7, 7}, {3, 3});
  const std::vector<double> want = {0, 0.2, 0.8, 0, 1.6 / 3, 0.8, 0, 0, 0};
  BOOST_TEST(largest_difference(stretched(x, 0.8), Tensor::from(want, {3, 3})) <= 1e-15);
}

BOOST_AUTO_TEST_CASE(a_scale_is_eulers_method_under_the_coarse_image) {
  if (!available()) return;
  const Model low = load_model(weights("low40"), {.dtype = DType::f64});
  const FinerScales scales({weights("c320_rf13_scale2")}, low, make_stepper("ddim", Config()), 3);
  const Tensor coarse = normal_noise(5, 0, 1, 0, {5, 6, 1}), fine = scales.refine(coarse, 9, 4, {});
  const Tensor clean = stretched(coarse, 0.8);
  const auto& network = *scales.models[0].network;
  Tensor y = normal_noise(seed_of_scale(9, 0), 4, 1, 0, {5, 6, 3});
  const double sigma[] = {1, 0.1, 0.01, 0};
  for (int i = 0; i < 3; ++i) {
    Inputs in;
    in.x = concat({clean, y}, 3);
    y = y + network(in) * ((sigma[i + 1] - sigma[i]) / sigma[i]);
  }
  BOOST_TEST(largest_difference(from_haar(clean, y), fine) <= 1e-13);
}

BOOST_AUTO_TEST_CASE(a_chain_is_one_command) {
  if (!available()) return;
  const Folder folder;
  const Tensor together = chain(folder, {"-n", "2"}), apart = chain(folder, {"-n", "2", "--batch", "1"});
  BOOST_TEST((together.shape() == Shape{2, 160, 160, 1}));
  BOOST_TEST(first_non_finite(together) == -1);
  BOOST_TEST((together.to_vector() == apart.to_vector()));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  if (!available()) return;
  const auto said = [](const std::vector<std::string>& more) {
    std::vector<std::string> words{"sample", weights("low40")};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const auto other = said({"--finer", weights("flat160_rf43")});
  BOOST_TEST(other.code == 1);
  BOOST_TEST(other.err.find("no denoiser of the details") != std::string::npos, other.err);
  BOOST_TEST(said({"--finer", weights("c320_rf13_scale2"), "--trajectory"}).code == 2);
  BOOST_TEST(said({"--finer", weights("c320_rf13_scale2"), "--finer-steps", "0"}).code == 2);
  BOOST_TEST(said({"--finer", weights("c320_rf13_scale2"), "--finer-sampler", "dddim"}).code == 2);
}

BOOST_AUTO_TEST_SUITE_END()
