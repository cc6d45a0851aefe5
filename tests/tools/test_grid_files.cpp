// Grids from files: mean squares of eps, of which the command makes Analytic-DPM's optimal subsequence.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>

#include "io/hdf5.h"
#include "solvers/optimal_grid.h"
#include "tests/tools/command.h"

using namespace costate;
using costate::test::Folder;
using costate::test::Outcome;
using costate::test::run;

namespace {

constexpr const char* schedule = R"({"type": "ddpm", "num_train_timesteps": 12, "beta_start": 0.01, "beta_end": 0.4})";

Outcome sample(const Folder& folder, const std::vector<double>& mean_square_eps, const std::string& steps) {
  test::spill(
      folder / "normal.json",
      fmt::format(
          R"({{"family": "gaussian", "mean": [0], "covariance": [[0.25]], "schedule": {}, "sampling": {{"final": "zero"}}}})",
          schedule));
  Hdf5Writer file((folder / "grid.h5").string());
  file.write("ms_eps", Tensor::from(mean_square_eps, {static_cast<std::int64_t>(mean_square_eps.size())}, DType::f64));
  file.finish();
  return run({"sample", (folder / "normal.json").string(), "--grid", (folder / "grid.h5").string(), "--steps", steps,
              "-n", "1", "--sampler", "ddpm", "--trajectory", "--out", (folder / "out.h5").string()});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(grid_files)

BOOST_AUTO_TEST_CASE(the_optimal_subsequence_of_mean_squares) {
  const Folder folder;
  const std::vector<double> mean_squares = {0.1, 0.1, 0.3, 0.3, 0.9, 0.4, 0.8, 0.5, 0.9, 0.9, 0.6, 0.99};
  const auto made = schedule_from(Config::parse(schedule, "test"));
  for (const int steps : {3, 5}) {
    const auto o = sample(folder, mean_squares, std::to_string(steps));
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    const auto t = Hdf5Reader((folder / "out.h5").string()).read("grid_t").to_vector();
    const auto best = optimal_subsequence(*made, mean_squares, steps);
    BOOST_REQUIRE(t.size() == best.size() + 1);  // and the clean end
    for (std::size_t i = 0; i < best.size(); ++i) BOOST_TEST(t[i] == best[i], steps << " steps, level " << i);
  }
  const auto few = sample(folder, {0.5, 0.5}, "2");
  BOOST_TEST((few.code == 2 && few.err.find("2 values") != std::string::npos), few.code << " " << few.err);
}

// A continuous adjoint's own levels: named, counted, or of a file; on the sampler's own it is what it is without.
BOOST_AUTO_TEST_CASE(an_adjoint_has_its_own_levels) {
  const Folder folder;
  test::spill(folder / "normal.json", R"({"family": "gaussian", "mean": [0.3], "covariance": [[0.25]]})");
  const auto gradient = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"grad",      (folder / "normal.json").string(),
                                 "-n",        "1",
                                 "--steps",   "12",
                                 "--grid",    "lambda",
                                 "--adjoint", "adjointdeis-1",
                                 "--out",     (folder / "g.h5").string()};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome o = run(all);
    BOOST_TEST_REQUIRE(o.code == 0, o.err);
    return Hdf5Reader((folder / "g.h5").string()).read("g_x_T").item();
  };
  const double own = gradient({}), fine = gradient({"--adjoint-steps", "96"});
  BOOST_TEST(gradient({"--adjoint-grid", "lambda"}) == own);
  BOOST_TEST(gradient({"--adjoint-grid", "lambda", "--adjoint-steps", "96"}) == fine);
  BOOST_TEST(fine != own);
  BOOST_TEST(gradient({"--adjoint-grid", "s"}) != own);
  Hdf5Writer file((folder / "levels.h5").string());
  std::vector<double> levels;  // t, alpha, sigma of each
  const auto vp = schedule_from(Config::parse(R"({"type": "vp_linear"})", "test"));
  for (const double t : {1.0, 0.6, 0.3, 0.1, 0.02, 0.001}) levels.insert(levels.end(), {t, vp->alpha(t), vp->sigma(t)});
  file.write("grid", Tensor::from(levels, {6, 3}));
  file.finish();
  const double given = gradient({"--adjoint-grid", (folder / "levels.h5").string()});
  BOOST_TEST((given != own && std::isfinite(given)));
}

BOOST_AUTO_TEST_SUITE_END()
