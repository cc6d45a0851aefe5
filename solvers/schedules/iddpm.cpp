// The levels of iDDPM in EDM's form: alpha = 1, sigma = u_j (Karras et al. 2022, table 1 and appendix C.3.3).
#include <algorithm>
#include <numbers>

#include "solvers/exploding_table.h"

namespace costate {
namespace {

/// u_M = 0, u_(j-1) = sqrt((u_j^2 + 1) / max(abar(j-1) / abar(j), C_1) - 1), abar(j) = sin^2(pi/2 j / (M (C_2 + 1)));
/// used from j = j_0 on. t counts from the clean end, as the network's input does.
std::vector<double> log_u_from(const Config& c) {
  const auto m = c.integer("M", 1000), j0 = c.integer("j_0", 8);
  const double c1 = c.number("C_1", 1e-3), c2 = c.number("C_2", 8e-3);
  require(m >= 2 && m <= 1'000'000 && j0 >= 0 && j0 < m - 1, "{}: iddpm wants 0 <= j_0 < M - 1, got {} and {}",
          c.where(), j0, m);
  require(c1 > 0 && c1 < 1 && c2 >= 0, "{}: iddpm wants 0 < C_1 < 1 and C_2 >= 0, got {} and {}", c.where(), c1, c2);
  const auto abar = [&](std::int64_t j) {
    const double v = std::sin(std::numbers::pi / 2 * static_cast<double>(j) / (static_cast<double>(m) * (c2 + 1)));
    return v * v;
  };
  std::vector<double> log_u;
  double u = 0;
  for (auto j = m; j > j0; --j) {
    u = std::sqrt((u * u + 1) / std::max(abar(j - 1) / abar(j), c1) - 1);
    log_u.push_back(std::log(u));
  }
  return log_u;
}

}  // namespace

ScheduleType iddpm_schedule() {
  return {"iddpm",
          "discrete: alpha = 1, sigma the u_j of EDM's iDDPM; t = M - 1 - j",
          {"M", "j_0", "C_1", "C_2"},
          [](const Config& c) { return std::make_shared<const ExplodingTable>(c, log_u_from(c)); }};
}

}  // namespace costate
