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

BOOST_AUTO_TEST_SUITE_END()
