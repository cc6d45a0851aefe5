// Sampling what a time series lacks: the part `denoise` of csdi is the authors' network with observed and noisy joined by the mask.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <iostream>

#include "io/hdf5.h"
#include "tests/support/inputs.h"
#include "tests/support/paths.h"
#include "tests/tools/command.h"

using namespace costate;

BOOST_AUTO_TEST_SUITE(imputation)

BOOST_AUTO_TEST_CASE(samplers_join_what_is_observed_and_what_is_noisy) {
  const auto weights = shared_dir() / "weights/csdi-physio";
  if (!std::filesystem::exists(weights)) {
    std::cerr << "SKIPPED: " << weights.string() << " is not there (set COSTATE_SHARED)\n";
    return;
  }
  const Tensor z = Hdf5Reader(weights / "in.h5").read("z");
  const Shape one = z.shape().with(-1, 1);
  const auto all = z.to_vector();
  std::vector<double> observed, noisy, both, mask;
  for (std::int64_t i = 0; i < one.size(); ++i) {
    mask.push_back(all[static_cast<std::size_t>((i + 1) * z.dim(3) - 1)]);
    observed.push_back(std::sin(0.3 * static_cast<double>(i)));  // everywhere: the mask must choose
    noisy.push_back(std::cos(1.7 * static_cast<double>(i)));
    both.insert(both.end(), {mask.back() * observed.back(), (1 - mask.back()) * noisy.back()});
  }
  const test::Folder folder;
  const auto file = [&](const std::string& name, const std::vector<std::pair<std::string, Tensor>>& data) {
    Hdf5Writer out(folder / name);
    for (const auto& [key, value] : data) out.write(key, value);
    out.finish();
    return (folder / name).string();
  };
  constexpr double alpha = 0.8, sigma = 0.6;
  const std::string model = (weights / "model.pth").string(),
                    in = file(
                        "in.h5",
                        {{"x", Tensor::from(both, one.with(-1, 2))}, {"z", z}, {"t", Tensor::from({20, 20}, {2})}}),
                    start = file("start.h5", {{"x_T", Tensor::from(noisy, one)},
                                              {"observed", Tensor::from(observed, one)},
                                              {"z", z},
                                              {"grid", Tensor::from({20, alpha, sigma, 0, 1, 0}, {2, 3})}});
  const auto result = [&](std::vector<std::string> arguments) {
    const std::string out = (folder / (arguments[0] + ".h5")).string();
    arguments.insert(arguments.begin() + 1, model);
    arguments.insert(arguments.end(), {"--dtype", "f64", "--out", out});
    const auto run = test::run(arguments);
    BOOST_REQUIRE_MESSAGE(run.code == 0, run.err);
    return Hdf5Reader(out);
  };
  const auto eps = result({"eval", "--in", in}).read("y").to_vector();
  std::vector<double> x_0;
  for (std::size_t i = 0; i < eps.size(); ++i) x_0.push_back((noisy[i] - sigma * eps[i]) / alpha);
  const Tensor sampled = result({"sample", "--start", start, "--grid", start}).read("x");
  BOOST_TEST(relative_difference(sampled, Tensor::from(x_0, one)) <= 1e-12);
  // What was observed is used where the mask says so, and nowhere else.
  const auto g = result({"grad", "--start", start, "--grid", start, "--wrt", "z"}).read("g_observed").to_vector();
  double seen = 0, hidden = 0;
  for (std::size_t i = 0; i < g.size(); ++i) (mask[i] == 0 ? hidden : seen) += std::abs(g[i]);
  BOOST_TEST(hidden == 0);
  BOOST_TEST(seen > 0);
}

BOOST_AUTO_TEST_SUITE_END()
