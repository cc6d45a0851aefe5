// Grids: published levels, diffusers' timesteps, the ends, and what is refused.
#include "tests/solvers/problems.h"

namespace costate {
namespace {

std::vector<double> times(const Grid& grid, std::size_t count) {
  std::vector<double> t;
  for (std::size_t i = 0; i < count; ++i) t.push_back(grid[i].t);
  return t;
}

BOOST_AUTO_TEST_SUITE(grids)

BOOST_AUTO_TEST_CASE(karras_levels) {
  const double ten[] = {80, 42.415189, 21.108677, 9.723201, 4.066124, 1.501742, 0.469979, 0.116639, 0.020435, 0.002, 0};
  const auto edm = schedule_of(R"({"type": "edm"})");
  const Grid grid = make_grid("karras", *edm, 10);
  BOOST_REQUIRE(grid.size() == std::size(ten));
  for (std::size_t i = 0; i < grid.size(); ++i) BOOST_TEST(std::abs(grid[i].sigma - ten[i]) < 5.1e-7);
  BOOST_TEST(std::abs(make_grid("karras", *edm, 18)[1].sigma - 57.58598472) < 5.1e-9);
  const Grid open = make_grid("karras", *edm, 10, FinalLevel::first);
  BOOST_TEST(open.size() == 11u);
  BOOST_TEST(open.back().sigma == 0.002);
}

BOOST_AUTO_TEST_CASE(uniform_in_their_clock) {
  const auto schedule = vp_linear();
  const auto check = [&](const char* name, auto of) {
    const Grid grid = make_grid(name, *schedule, 7);
    BOOST_REQUIRE(grid.size() == 8u);
    BOOST_TEST((grid.front().t == 1 && grid.back().t == schedule->t_min));
    const double whole = of(grid.back()) - of(grid.front());
    for (std::size_t i = 0; i < 8; ++i)
      BOOST_TEST(std::abs(of(grid[i]) - of(grid.front()) - whole * static_cast<double>(i) / 7) <
                 1e-11 * std::abs(whole));
  };
  check("t", [](const Level& at) { return at.t; });
  check("lambda", [](const Level& at) { return at.lambda(); });
  check("s", [](const Level& at) { return at.s(); });
  check("quadratic", [](const Level& at) { return std::sqrt(at.t); });
}

BOOST_AUTO_TEST_CASE(spacings_of_diffusers) {
  const auto ddpm = schedule_of(R"({"type": "ddpm"})");
  std::vector<double> leading, trailing;
  for (int i = 19; i >= 0; --i) leading.push_back(50 * i), trailing.push_back(50 * i + 49);
  BOOST_TEST(times(make_grid("leading", *ddpm, 20), 20) == leading);
  BOOST_TEST(times(make_grid("trailing", *ddpm, 20), 20) == trailing);
  const auto linspace = times(make_grid("linspace", *ddpm, 20), 20);
  BOOST_TEST((linspace[0] == 999 && linspace[1] == 946 && linspace[19] == 0));
  BOOST_TEST(times(make_grid("leading", *ddpm, 20, FinalLevel::zero, 1), 2) == (std::vector<double>{951, 901}));
  // np.round(np.arange(1000, 0, -1000 / N)) - 1: exact halves go to the even number; with N = 48 they are halves but
  // for rounding.
  BOOST_TEST(times(make_grid("trailing", *ddpm, 16), 4) == (std::vector<double>{999, 937, 874, 811}));
  BOOST_TEST(make_grid("trailing", *ddpm, 48)[3].t == 936);
}

BOOST_AUTO_TEST_CASE(ends_of_discrete_grids) {
  const auto ddpm = schedule_of(R"({"type": "ddpm"})");
  for (const auto& name : grid_names()) {
    const Grid zero = make_grid(name, *ddpm, 10);
    BOOST_TEST(zero.size() == 11u);
    BOOST_TEST((zero.back().t == 0 && zero.back().alpha == 1 && zero.back().sigma == 0));
    if (name == "linspace") continue;  // visits t = 0 already
    const Grid first = make_grid(name, *ddpm, 10, FinalLevel::first, 1);
    BOOST_TEST(first.size() == 11u);
    BOOST_TEST((first.back().t == 0 && first.back().sigma == ddpm->sigma(0)));
  }
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  const auto ddpm = schedule_of(R"({"type": "ddpm"})");
  const auto vp = vp_linear();
  check_throws([&] { make_grid("t", *vp, 0); }, {"0 steps", "1 or more"});
  check_throws([&] { make_grid("lamda", *vp, 5); }, {"lamda", "lambda"});
  check_throws([&] { make_grid("leading", *vp, 5); }, {"leading", "discrete"});
  check_throws([&] { make_grid("t", *ddpm, 1001); }, {"1001 steps", "1000"});
  check_throws([&] { make_grid("leading", *ddpm, 1000, FinalLevel::zero, 1); }, {"t = 1000", "offset"});
  check_throws([&] { make_grid("leading", *ddpm, 10, FinalLevel::first, 0); }, {"must fall", "t = 0"});
  check_throws([&] { make_grid("linspace", *ddpm, 10, FinalLevel::first); }, {"must fall", "t = 0"});
  check_throws([&] { make_grid("linspace", *ddpm, 1); }, {"linspace", "trailing"});
  check_throws([&] { make_grid("lambda", *schedule_of(R"({"type": "vp_linear", "t_min": 0})"), 5); },
               {"lambda", "infinite"});
  const auto no_signal = schedule_of(R"({"type": "ddpm", "rescale_betas_zero_snr": true})");
  BOOST_TEST(make_grid("trailing", *no_signal, 5).front().alpha == 0);  // pure noise
  check_throws([] { check_grid({{1, 0.5, 0.5}, {0, 0, 0.5}}, "mine"); }, {"mine", "level 1", "pure noise"});
  check_throws([] { check_grid({{1, 0.5, 0.5}}, "mine"); }, {"mine", "1 levels"});
  check_throws([] { check_grid({{1, 0.5, 0.5}, {0, 0.5, NAN}}, "mine"); }, {"level 1", "not finite"});
  check_throws([] { check_grid({{1, 0.9, 0.5}, {0, 0.5, 0.5}}, "mine"); }, {"must fall"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
