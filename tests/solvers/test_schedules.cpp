// Schedules against published and computed values, their inverses and their derived coefficients.
#include <fmt/core.h>

#include <map>

#include "solvers/forward.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

struct Row {
  double t, alpha, sigma, lambda;
};

/// Equal to as many digits as a table with 12 significant ones shows.
void check_digits(double found, double expected, int digits) {
  BOOST_TEST(std::abs(found - expected) <= 0.51 * std::pow(10, std::floor(std::log10(std::abs(expected))) + 1 - digits),
             found << " against " << expected);
}

const std::vector<std::string>& continuous() {
  static const std::vector<std::string> all = {R"({"type": "vp_linear"})",
                                               R"({"type": "vp_scaled_linear"})",
                                               R"({"type": "vp_cosine"})",
                                               R"({"type": "ve"})",
                                               R"({"type": "edm"})",
                                               R"({"type": "sub_vp"})",
                                               R"({"type": "edm_vp"})",
                                               R"({"type": "edm_ve"})",
                                               R"({"type": "flow", "t_max": 0.999})"};
  return all;
}

BOOST_AUTO_TEST_SUITE(schedules)

BOOST_AUTO_TEST_CASE(vp_linear_values) {
  const Row table[] = {
      {1e-5, 0.999999499503, 0.00100049712594, 6.90725777608}, {1e-4, 0.999994950263, 0.00317796302688, 5.75150979527},
      {1e-3, 0.999945026511, 0.0104854163351, 4.55771493273},  {1e-2, 0.999002997338, 0.0446431552447, 3.1080567814},
      {0.1, 0.946721798821, 0.322052535525, 1.07829059294},    {0.5, 0.281182880797, 0.959654202068, -1.22756773441},
      {1, 0.00657158649493, 0.999978406892, -5.02497840666}};
  const auto schedule = vp_linear();
  for (const auto& row : table) {
    const Level at = schedule->level(row.t);
    check_digits(at.alpha, row.alpha, 12);
    check_digits(at.sigma, row.sigma, 12);
    check_digits(at.lambda(), row.lambda, 11);
    BOOST_TEST(std::abs(schedule->lambda(row.t) - at.lambda()) < 1e-13);
  }
  BOOST_TEST(std::abs(schedule->lambda(1e-3) - schedule->lambda(1) - 9.58269) < 5e-6);
}

BOOST_AUTO_TEST_CASE(other_continuous_values) {
  check_digits(schedule_of(R"({"type": "vp_cosine"})")->lambda(0.9946), -4.7776, 5);
  // sigma / alpha of VP-linear at t = 1 is sqrt(exp(19.9 / 2 + 0.1) - 1), its EDM form.
  check_digits(vp_linear()->level(1).s(), 152.16697, 8);
  check_digits(schedule_of(R"({"type": "ve"})")->sigma(1), 50, 14);
  check_digits(schedule_of(R"({"type": "edm"})")->sigma(3.25), 3.25, 15);
}

BOOST_AUTO_TEST_CASE(ddpm_values) {
  struct Family {
    const char* json;
    double abar_0, abar_499, abar_999, s_0, s_999, lambda_999;
  };
  const Family families[] = {
      {R"({"type": "ddpm"})", 0.9999, 0.07858724288, 4.035829765e-05, 0.01000050, 157.407281, -5.05884},
      {R"({"type": "ddpm", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012})", 0.99915,
       0.2776696505, 0.004660098513, 0.02916716, 14.614641, -2.68202},
      {R"({"type": "ddpm", "beta_schedule": "squaredcos_cap_v2"})", 0.9999587158, 0.4938435904, 2.428766907e-09,
       0.00642541, 20291.1696, -9.91794},
      {R"({"type": "ddpm", "beta_schedule": "sigmoid"})", 0.9998507948, 0.3019310566, 3.968181991e-05, 0.01221587,
       158.743369, -5.06729}};
  for (const auto& family : families) {
    const auto schedule = schedule_of(family.json);
    BOOST_TEST(schedule->steps() == 1000);
    check_digits(std::exp(2 * schedule->log_alpha(0)), family.abar_0, 10);
    check_digits(std::exp(2 * schedule->log_alpha(499)), family.abar_499, 10);
    check_digits(std::exp(2 * schedule->log_alpha(999)), family.abar_999, 10);
    check_digits(schedule->level(0).s(), family.s_0, family.s_0 < 0.01 ? 6 : 7);
    check_digits(schedule->level(999).s(), family.s_999, 8);
    check_digits(schedule->lambda(999), family.lambda_999, 6);
  }
}

BOOST_AUTO_TEST_CASE(discrete_levels_of_edm_and_smalldiffusion) {
  const auto iddpm = schedule_of(R"({"type": "iddpm"})"), all = schedule_of(R"({"type": "iddpm", "j_0": 0})");
  BOOST_TEST((iddpm->steps() == 992 && all->steps() == 1000));
  check_digits(all->sigma(999), 20291.17, 7);  // u_0
  check_digits(iddpm->sigma(991), 80.2037018, 9);
  check_digits(iddpm->sigma(499), 1.0123896, 8);
  check_digits(iddpm->sigma(0), 0.0064254, 5);
  const auto log_linear = schedule_of(R"({"type": "log_linear"})");
  BOOST_TEST(log_linear->sigma(199) == 10);
  BOOST_TEST(log_linear->sigma(0) == 0.02);
  for (const auto& schedule : {iddpm, log_linear}) {
    for (const double t : {0.0, 0.5, 17.0, 150.25})
      BOOST_TEST(std::abs(schedule->t_of_lambda(schedule->lambda(t)) - t) < 1e-9);
    BOOST_TEST(schedule->g2(17.5) == schedule->Schedule::g2(17.5), boost::test_tools::tolerance(1e-7));
    BOOST_TEST(schedule_from(schedule->config())->sigma(7) == schedule->sigma(7));
  }
}

BOOST_AUTO_TEST_CASE(the_same_sigma_over_alpha) {
  // VP, its EDM form and sub-VP at one t: sigma / alpha of the first two are equal, sub-VP's std is 1 - alpha^2.
  const auto vp = vp_linear(), edm = schedule_of(R"({"type": "edm_vp"})"), sub = schedule_of(R"({"type": "sub_vp"})");
  for (const double t : {1e-5, 1e-3, 0.1, 0.4, 1.0}) {
    const Level at = vp->level(t);
    BOOST_TEST(edm->level(t).s() == at.s(), boost::test_tools::tolerance(1e-13));
    BOOST_TEST(sub->level(t).alpha == at.alpha);
    BOOST_TEST(sub->level(t).sigma == at.sigma * at.sigma, boost::test_tools::tolerance(1e-13));
    // x_VP = x_VE / sqrt(1 + s^2) and beta = (s^2)' / (1 + s^2)
    BOOST_TEST(at.alpha == 1 / std::sqrt(1 + at.s() * at.s()), boost::test_tools::tolerance(1e-13));
    BOOST_TEST(vp->g2(t) == edm->g2(t) / (1 + at.s() * at.s()), boost::test_tools::tolerance(1e-13));
  }
  BOOST_TEST(vp->g2(0.4) == 8.06, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(std::abs(sub->sigma(1) - 0.99996) < 5.1e-6);
  BOOST_TEST(edm->prior_std() == 152.16697, boost::test_tools::tolerance(1e-7));
}

BOOST_AUTO_TEST_CASE(between_variance_preserving_and_exploding) {
  const auto vp = vp_linear(), edm = schedule_of(R"({"type": "edm"})"), flow = schedule_of(R"({"type": "flow"})");
  const Tensor x_0 = row_of({0.3, -1.2}), eps = row_of({0.7, 0.1});
  for (const double t : {1e-3, 0.4, 1.0}) {
    const Level at = vp->level(t), exploding = variance_exploding(at);
    BOOST_TEST((exploding.alpha == 1 && exploding.sigma == at.s()));
    const Tensor x = noised(x_0, eps, at), x_ve = noised(x_0, eps, exploding);
    check_near(x, {at.alpha * 0.3 + at.sigma * 0.7, at.alpha * -1.2 + at.sigma * 0.1}, 1e-15);
    check_near(change_level(x, at, exploding), x_ve.to_vector(), 1e-12 * at.s());
    check_near(change_level(x_ve, exploding, at), (x_ve / std::sqrt(1 + at.s() * at.s())).to_vector(), 1e-14);
    const Level back = variance_preserving(exploding);
    BOOST_TEST(back.alpha == at.alpha, boost::test_tools::tolerance(1e-13));
    BOOST_TEST(back.sigma == at.sigma, boost::test_tools::tolerance(1e-13));
  }
  BOOST_TEST(variance_preserving(flow->level(0.25)).alpha == 0.75 / std::sqrt(0.625),
             boost::test_tools::tolerance(1e-14));
  BOOST_TEST(variance_preserving(flow->level(1)).alpha == 0);
  check_throws([&] { variance_exploding(flow->level(1)); }, {"t = 1", "pure noise"});
  check_throws([&] { return change_level(x_0, vp->level(0.4), edm->level(0.4)); }, {"sigma / alpha", "0.4"});
}

BOOST_AUTO_TEST_CASE(flow_matching_begins_at_pure_noise) {
  const auto flow = schedule_of(R"({"type": "flow"})");
  BOOST_TEST((flow->level(1).alpha == 0 && flow->level(1).sigma == 1));
  BOOST_TEST(flow->level(0.25).alpha == 0.75, boost::test_tools::tolerance(1e-15));
  BOOST_TEST((make_grid("t", *flow, 5).front().alpha == 0));
  check_throws([&] { make_grid("lambda", *flow, 5); }, {"lambda", "infinite"});
  check_throws([] { schedule_of(R"({"type": "flow", "t_max": 1.5})"); }, {"flow", "1.5"});
}

// A bound on sigma, such as S_max, may be the schedule's own end.
BOOST_AUTO_TEST_CASE(ends_that_are_given_are_reached) {
  for (const double most : {50.0, 348.0, 1380.0, 7.3}) {
    const auto ve = schedule_of(fmt::format(R"({{"type": "ve", "sigma_min": 0.01, "sigma_max": {}}})", most));
    const auto log_linear =
        schedule_of(fmt::format(R"({{"type": "log_linear", "sigma_min": 0.01, "sigma_max": {}}})", most));
    BOOST_TEST((ve->sigma(0) == 0.01 && log_linear->sigma(0) == 0.01));
    BOOST_TEST((ve->sigma(1) == most && log_linear->sigma(199) == most), "sigma_max " << most);
  }
}

// Between the last index with signal and pure noise ln alpha would fall from a number to -infinity.
BOOST_AUTO_TEST_CASE(nothing_is_interpolated_beside_pure_noise) {
  const auto zero = schedule_of(R"({"type": "ddpm", "rescale_betas_zero_snr": true})");
  BOOST_TEST(zero->level(999).alpha == 0);
  BOOST_TEST(zero->t_of_lambda(-INFINITY) == 999);
  for (const double t : {998.0, 997.5, 500.25, 0.0})
    BOOST_TEST(std::abs(zero->t_of_lambda(zero->lambda(t)) - t) < 1e-9, "t = " << t);
  check_throws([&] { return zero->level(998.5).alpha; }, {"998.5", "index 998", "pure noise at 999"});
  check_throws([&] { return zero->t_of_lambda(zero->lambda(998) - 0.1); }, {"index 998", "pure noise", "S_max"});
  // Churn that leads there: it moved the state and left the level where it was.
  Sampler churned = sampler_of(mixture(), "edm", {zero->level(998), zero->level(500)}, R"({"S_churn": 10})", zero);
  churned.noise = fresh_noise(1, 0);
  check_throws([&] { return churned.step(0, {row_of({1, 2}), {}}, mixture().p); }, {"S_max"});
}

BOOST_AUTO_TEST_CASE(ddpm_between_its_steps) {
  const auto schedule = schedule_of(R"({"type": "ddpm"})");
  BOOST_TEST(schedule->log_alpha(10.25) == 0.75 * schedule->log_alpha(10) + 0.25 * schedule->log_alpha(11),
             boost::test_tools::tolerance(1e-14));
  for (const double t : {0.0, 0.5, 17.0, 499.75, 998.5, 999.0})
    BOOST_TEST(std::abs(schedule->t_of_lambda(schedule->lambda(t)) - t) < 1e-9);
  const auto betas = schedule_of(R"({"type": "ddpm", "betas": [0.1, 0.2, 0.3]})");
  BOOST_TEST(betas->steps() == 3);
  BOOST_TEST(betas->alpha(2) * betas->alpha(2) == 0.9 * 0.8 * 0.7, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(betas->f(1.5) == std::log(0.7) / 2, boost::test_tools::tolerance(1e-14));
  const auto pure = schedule_of(R"({"type": "ddpm", "betas": [0.1, 0.2, 1]})");  // the last may leave nothing
  BOOST_TEST(pure->alpha(1) * pure->alpha(1) == 0.9 * 0.8, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(pure->alpha(2) == 0);
  BOOST_TEST(pure->sigma(2) == 1);
}

BOOST_AUTO_TEST_CASE(ddpm_rescaled_to_zero_terminal_snr) {
  const auto schedule =
      schedule_of(R"({"type": "ddpm", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                                        "rescale_betas_zero_snr": true})");
  check_digits(schedule->alpha(500), 0.490936638, 9);
  check_digits(schedule->alpha(0), 0.999574910, 9);
  BOOST_TEST(schedule->alpha(999) == 0);
}

BOOST_AUTO_TEST_CASE(t_of_lambda_inverts_lambda) {
  for (const auto& json : continuous()) {
    const auto schedule = schedule_of(json);
    const double first = schedule->t_min + 1e-5 * (schedule->t_max - schedule->t_min);
    for (const double part : {0.0, 1e-4, 1e-2, 0.3, 0.7, 1.0}) {
      const double t = first + part * (schedule->t_max - first);
      BOOST_TEST(schedule->t_of_lambda(schedule->lambda(t)) == t, boost::test_tools::tolerance(1e-11));
    }
  }
}

BOOST_AUTO_TEST_CASE(drift_and_diffusion_against_differences) {
  for (const auto& json : continuous()) {
    const auto schedule = schedule_of(json);
    for (const double part : {0.05, 0.3, 0.6, 0.9}) {
      const double t = schedule->t_min + part * (schedule->t_max - schedule->t_min);
      BOOST_TEST(std::abs(schedule->f(t) - schedule->Schedule::f(t)) <= 1e-8 * (1 + std::abs(schedule->f(t))),
                 json << " f at " << t);
      BOOST_TEST(schedule->g2(t) == schedule->Schedule::g2(t), boost::test_tools::tolerance(1e-8));
    }
  }
}

BOOST_AUTO_TEST_CASE(variance_is_preserved_and_a_configuration_reads_back) {
  for (const auto& json : continuous()) {
    const auto schedule = schedule_of(json);
    const auto again = schedule_from(schedule->config());
    const double t = 0.4 * schedule->t_max;
    BOOST_TEST(
        (again->level(t).alpha == schedule->level(t).alpha && again->level(t).sigma == schedule->level(t).sigma));
    BOOST_TEST((again->t_min == schedule->t_min && again->t_max == schedule->t_max));
    if (json.find("\"vp_") != std::string::npos)
      BOOST_TEST(std::hypot(schedule->alpha(t), schedule->sigma(t)) == 1, boost::test_tools::tolerance(1e-15));
  }
  const auto ddpm = schedule_of(R"({"type": "ddpm", "betas": [0.1, 0.2, 0.3]})");
  BOOST_TEST(schedule_from(ddpm->config())->alpha(2) == ddpm->alpha(2));
}

BOOST_AUTO_TEST_CASE(every_key_of_every_type_moves_the_levels) {
  struct Try {
    std::string value, with;  ///< and what it needs beside it
  };
  const std::map<std::string, std::vector<Try>> values = {
      {"beta_schedule",
       {{R"("scaled_linear")", ""},
        {R"("squaredcos_cap_v2")", ""},
        {R"("sigmoid")", ""},
        {R"("quad")", ""},
        {R"("exp")", ""},
        {R"("laplace")", ""}}},
      {"beta_start", {{"2e-4", ""}}},
      {"beta_end", {{"0.01", ""}}},
      {"num_train_timesteps", {{"150", ""}}},
      {"betas", {{"[0.1, 0.2, 0.3]", ""}}},
      {"rescale_betas_zero_snr", {{"true", R"(, "terminal_alpha_bar": 1e-9)"}}},
      {"terminal_alpha_bar", {{R"(1e-10, "rescale_betas_zero_snr": true)", ""}}},
      {"sigma_min", {{"0.05", ""}}},
      {"sigma_max", {{"20", ""}}},
      {"beta_min", {{"0.2", ""}}},
      {"beta_max", {{"9", ""}}},
      {"t_min", {{"0.01", ""}}},
      {"t_max", {{"0.9", ""}}},
      {"offset", {{"0.01", ""}}},
      {"M", {{"500", ""}}},
      {"j_0", {{"4", ""}}},
      {"C_1", {{"0.01", R"(, "j_0": 0)"}}},
      {"C_2", {{"0.01", ""}}}};
  const auto levels = [](const std::string& json) {
    const auto schedule = schedule_of(json);
    std::vector<double> all;
    for (const double part : {0.0, 0.2, 0.7, 1.0}) {
      const double t = schedule->t_min + part * (schedule->t_max - schedule->t_min), lambda = schedule->lambda(t);
      all.insert(all.end(), {t, schedule->log_alpha(t), schedule->sigma(t)});
      if (std::isfinite(lambda) && part > 0)
        BOOST_TEST(schedule->t_of_lambda(lambda) == t, boost::test_tools::tolerance(1e-9));
    }
    return all;
  };
  for (const auto& type : costate::schedules()) {
    for (const auto& key : type.keys) {
      BOOST_TEST_REQUIRE(values.count(key) == 1, type.name << " has a key " << key << " that is tried nowhere");
      for (const auto& [value, beside] : values.at(key)) {
        const std::string without = fmt::format(R"({{"type": "{}"{}}})", type.name, beside),
                          with = fmt::format(R"({{"type": "{}"{}, "{}": {}}})", type.name, beside, key, value);
        BOOST_TEST((levels(with) != levels(without)), with << " is " << without);
      }
    }
  }
  // diffusers' own, in f64
  const auto discrete = [](const char* name) {
    return schedule_of(fmt::format(R"({{"type": "ddpm", "beta_schedule": "{}"}})", name));
  };
  check_digits(discrete("exp")->alpha(500), 0.0494892403352381, 12);
  check_digits(discrete("laplace")->alpha(0), 0.98936658666016, 12);
  check_digits(discrete("laplace")->alpha(500), 0.8410013499149916, 12);
  const auto rescaled = schedule_of(R"({"type": "ddpm", "rescale_betas_zero_snr": true, "terminal_alpha_bar": 1e-10})");
  check_digits(rescaled->alpha(999), 1e-5, 12);
}

BOOST_AUTO_TEST_CASE(wrong_configurations) {
  check_throws([] { schedule_of(R"({"beta_min": 1})"); }, {"type", "vp_linear"});
  check_throws([] { schedule_of(R"({"type": "vp_linaer"})"); }, {"vp_linaer", "vp_linear"});
  check_throws([] { schedule_of(R"({"type": "vp_linear", "beta_mim": 1})"); }, {"beta_mim", "beta_min"});
  check_throws([] { schedule_of(R"({"type": "vp_linear", "beta_min": -1})"); }, {"beta_min", "-1"});
  check_throws([] { schedule_of(R"({"type": "vp_linear", "t_min": 1, "t_max": 0.5})"); }, {"t_min < t_max"});
  check_throws([] { schedule_of(R"({"type": "vp_cosine", "t_max": 1})"); }, {"t_max = 1", "0.9946"});
  check_throws([] { schedule_of(R"({"type": "ddpm", "betas": [1.0, 0.1]})"); }, {"beta[0] = 1"});
  check_throws([] { schedule_of(R"({"type": "ddpm", "betas": [0.1, 1.5]})"); }, {"beta[1] = 1.5"});
  check_throws([] { schedule_of(R"({"type": "ddpm", "beta_schedule": "quadratic"})"); },
               {"quadratic", "scaled_linear"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
