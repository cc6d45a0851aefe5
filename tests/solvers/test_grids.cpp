// Grids: published levels, diffusers' timesteps, the ends, and what is refused.
#include "solvers/optimal_grid.h"
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
  for (const auto& type : grid_types()) {
    const std::string& name = type.name;
    if (name == "given") continue;
    const Grid zero = make_grid(name, *ddpm, 10);
    BOOST_TEST(zero.size() == 11u);
    BOOST_TEST((zero.back().t == 0 && zero.back().alpha == 1 && zero.back().sigma == 0));
    if (name == "linspace") continue;  // visits t = 0 already
    const Grid first = make_grid(name, *ddpm, 10, FinalLevel::first, 1);
    BOOST_TEST(first.size() == 11u);
    BOOST_TEST((first.back().t == 0 && first.back().sigma == ddpm->sigma(0)));
  }
}

BOOST_AUTO_TEST_CASE(options_after_the_name) {
  const auto edm = schedule_of(R"({"type": "edm"})"), ddpm = schedule_of(R"({"type": "ddpm"})");
  // k-diffusion: sigma_i = (max^(1/rho) + i / (n - 1) (min^(1/rho) - max^(1/rho)))^rho, and for polyexponential
  // exp(u^rho (ln max - ln min) + ln min) with u from 1 to 0.
  const Grid karras = make_grid("karras:rho=5", *edm, 4), poly = make_grid("polyexponential:rho=2", *edm, 4);
  for (std::size_t i = 0; i < 4; ++i) {
    const double u = 1 - static_cast<double>(i) / 3;
    const double a = std::pow(0.002, 0.2), b = std::pow(80.0, 0.2);
    BOOST_TEST(karras[i].sigma == std::pow(a + u * (b - a), 5), boost::test_tools::tolerance(1e-12));
    BOOST_TEST(poly[i].sigma == 0.002 * std::exp(u * u * std::log(80 / 0.002)), boost::test_tools::tolerance(1e-12));
  }
  BOOST_TEST((karras[4].sigma == 0 && poly[4].sigma == 0));
  BOOST_TEST(make_grid("karras:final=first", *edm, 4).back().sigma == 0.002);
  BOOST_TEST(times(make_grid("leading:offset=1", *ddpm, 20), 2) == (std::vector<double>{951, 901}));
  const Grid plain = make_grid("polyexponential", *ddpm, 9), same = make_grid("exponential", *ddpm, 9);
  for (std::size_t i = 0; i < 9; ++i) BOOST_TEST(std::abs(plain[i].t - same[i].t) < 1e-9);
  const Grid straight = make_grid("t:final=zero", *vp_linear(), 5);
  BOOST_TEST((straight.size() == 6u && straight[4].t == 1e-3 && straight[5].sigma == 0));
  check_throws([&] { make_grid("karras:roh=5", *edm, 4); }, {"karras", "roh", "rho"});
  check_throws([&] { make_grid("karras:rho=0", *edm, 4); }, {"rho = 0", "positive"});
  check_throws([&] { make_grid("lambda:rho=3", *edm, 4); }, {"lambda", "rho"});
  check_throws([&] { make_grid("karras:rho", *edm, 4); }, {"karras", "KEY=VALUE"});
}

BOOST_AUTO_TEST_CASE(given_lists) {
  const auto sd =
      schedule_of(R"({"type": "ddpm", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012})");
  // Align Your Steps, Stable Diffusion 1.5: ten timesteps, and the sigmas of its own table.
  const std::string list = "given:t=[999,850,736,645,545,455,343,233,124,24]";
  const Grid ays = make_grid(list, *sd, 10);
  BOOST_TEST((ays.size() == 11u && ays[1].t == 850 && ays[10].sigma == 0));
  const double published[] = {14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152};
  for (std::size_t i = 0; i < 10; ++i)
    BOOST_TEST(std::abs(ays[i].s() / published[i] - 1) < 0.03, i << ": " << ays[i].s());
  const Grid more = make_grid(list + ":steps=19", *sd, 10);  // every second level is one of the list
  BOOST_REQUIRE(more.size() == 20u);
  for (std::size_t i = 0; i < 10; ++i) BOOST_TEST(more[2 * i].s() == ays[i].s(), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(more[3].s() == std::sqrt(ays[1].s() * ays[2].s()), boost::test_tools::tolerance(1e-9));
  const auto edm = schedule_of(R"({"type": "edm"})");
  const Grid by_s = make_grid("given:s=[80,10,1,0]", *edm, 3);
  BOOST_TEST((by_s.size() == 4u && by_s[3].sigma == 0));
  BOOST_TEST(by_s[1].sigma == 10, boost::test_tools::tolerance(1e-14));
  check_throws([&] { make_grid("given:s=[80,10,10,1]", *edm, 3); }, {"must fall", "levels 1", "2"});
  check_throws([&] { make_grid("given:t=[100,500]", *sd, 3); }, {"must fall", "t = 100", "t = 500"});
  check_throws([&] { make_grid("given:t=[1000,500]", *sd, 3); }, {"t = 1000", "999"});
  check_throws([&] { make_grid("given", *sd, 3); }, {"given", "t=[...]"});
  check_throws([&] { make_grid("given:s=[80,0]:steps=4", *edm, 3); }, {"steps = 4", "sigma = 0"});
}

BOOST_AUTO_TEST_CASE(iddpm_levels_of_edm) {
  // EDM's discretization iddpm: t_i = u_round(j_0 + (M - 1 - j_0) i / (N - 1)); its levels ascend with our index.
  const auto iddpm = schedule_of(R"({"type": "iddpm"})");
  const Grid grid = make_grid("linspace", *iddpm, 18);
  for (int i = 0; i < 18; ++i) {
    const double j = std::floor(8 + 991.0 / 17 * i + 0.5);
    BOOST_TEST(grid[static_cast<std::size_t>(i)].sigma == iddpm->sigma(999 - j), boost::test_tools::tolerance(1e-14));
  }
}

BOOST_AUTO_TEST_CASE(optimal_subsequence_is_the_least_of_all_paths) {
  const auto schedule =
      schedule_of(R"({"type": "ddpm", "num_train_timesteps": 12, "beta_start": 0.01, "beta_end": 0.4})");
  // Of N(0, 0.25) it is sigma^2 / (alpha^2 / 4 + sigma^2), for which all paths cost the same; squared, they do not.
  std::vector<double> g;
  for (int t = 0; t < 12; ++t) {
    const Level at = schedule->level(t);
    g.push_back(std::pow(at.sigma * at.sigma / (at.alpha * at.alpha / 4 + at.sigma * at.sigma), 2));
  }
  const auto cost = [&](int s, int t) {
    const double a = std::pow(schedule->alpha(t), 2), b = std::pow(schedule->alpha(s), 2);
    return std::log(1 - (1 - a / b) * g[static_cast<std::size_t>(t)] / (1 - a));
  };
  for (const int steps : {2, 3, 5}) {
    double least = INFINITY;
    std::vector<int> best;
    for (unsigned inner = 0; inner < 1U << 10; ++inner) {  // which of t = 1 ... 10 are on the path
      std::vector<int> path{11};
      for (int t = 10; t > 0; --t)
        if ((inner >> (t - 1) & 1U) != 0) path.push_back(t);
      path.push_back(0);
      if (static_cast<int>(path.size()) != steps) continue;
      double sum = 0;
      for (std::size_t i = 0; i + 1 < path.size(); ++i) sum += cost(path[i + 1], path[i]);
      if (sum < least) least = sum, best = path;
    }
    BOOST_TEST(optimal_subsequence(*schedule, g, steps) == best);
  }
  BOOST_TEST(optimal_subsequence(*schedule, g, 1) == std::vector<int>{11});
  const Grid grid = optimal_grid(*schedule, g, 4, FinalLevel::zero);
  BOOST_TEST((grid.size() == 5u && grid[0].t == 11 && grid[3].t == 0 && grid[4].sigma == 0));
  check_throws([&] { optimal_subsequence(*vp_linear(), g, 3); }, {"12 values", "0 steps"});
  g[3] = NAN;
  check_throws([&] { optimal_subsequence(*schedule, g, 3); }, {"t = 3"});
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
