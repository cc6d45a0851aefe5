// `costate study gradient` and `study optimisation`: the numbers of their tables and the files they write.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/tools/command.h"

using costate::test::Folder;
using costate::test::run;
using costate::test::slurp;
using costate::test::spill;
using nlohmann::json;

namespace {

constexpr const char* mixture = R"({"family": "gaussian_mixture", "weights": [0.5, 0.3, 0.2],
  "means": [[1, 0.3], [-0.7, 0.9], [0.2, -1.1]],
  "covariances": [[[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]], [[0.0225, 0], [0, 0.0225]]],
  "schedule": {"type": "vp_linear", "beta_min": 0.1, "beta_max": 20, "t_min": 1e-2, "t_max": 1}})";

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// The row of a grid, a number of steps and an adjoint.
json row(const json& document, const std::string& grid, int steps, const std::string& adjoint, int own = 0) {
  for (const auto& r : document["rows"]) {
    if (r["grid"] == grid && r["steps"] == steps && r["adjoint"] == adjoint && (own == 0 || r["adjoint_steps"] == own))
      return r;
  }
  BOOST_FAIL("no row for " << grid << " " << steps << " " << adjoint);
  return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradient_studies)

BOOST_AUTO_TEST_CASE(gradients_on_an_exact_problem) {
  const Folder folder;
  spill(folder / "mixture.json", mixture);
  const std::string svg = (folder / "g.svg").string(), csv = (folder / "g.csv").string();
  const auto o = run({"study", "gradient", (folder / "mixture.json").string(), "--steps", "80,160", "--adjoint",
                      "direct,checkpointed,symplectic,adjointdeis-1,adjointdeis-2m,backsolve", "--out", svg, "--out",
                      csv, "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const json found = json::parse(o.out);
  BOOST_TEST(found["rows"].size() == 24U);  // two grids, two N, six adjoints
  BOOST_TEST(lines(slurp(folder / "g.csv")) == 25U);
  for (const std::string grid : {"lambda", "t"}) {
    for (const int n : {80, 160}) {
      BOOST_TEST(row(found, grid, n, "direct")["own_x_T"] == 0.0);
      BOOST_TEST(row(found, grid, n, "checkpointed")["own_theta"] == 0.0);
      BOOST_TEST(row(found, grid, n, "symplectic")["own_x_T"].get<double>() < 1e-13);
      BOOST_TEST(row(found, grid, n, "direct")["nfe"] == n);
      BOOST_TEST(row(found, grid, n, "checkpointed")["nfe"] == 2 * n);
    }
    // The continuous adjoint of first order is far off in x_T, not in z.
    BOOST_TEST(row(found, grid, 80, "adjointdeis-1")["own_x_T"].get<double>() > 0.2);
    BOOST_TEST(row(found, grid, 80, "adjointdeis-1")["own_z"].get<double>() < 0.01);
    const auto order = [&](const std::string& adjoint) {
      return std::log2(row(found, grid, 80, adjoint)["truth_x_T"].get<double>() /
                       row(found, grid, 160, adjoint)["truth_x_T"].get<double>());
    };
    if (grid == "lambda") BOOST_TEST(std::abs(order("direct") - 1) < 0.15);
  }
  BOOST_TEST(row(found, "lambda", 160, "direct")["peak_bytes"].get<double>() >
             6 * row(found, "lambda", 160, "checkpointed")["peak_bytes"].get<double>());
  const std::string picture = slurp(folder / "g.svg");
  for (const char* part : {"</svg>", "adjointdeis-2m", "checkpointed", "relative error", "milliseconds", "peak, KiB"})
    BOOST_TEST(picture.find(part) != std::string::npos, part);
}

/// Where steps are chosen, each sample has its own: the table counts what `sample` does, and no batch of all.
BOOST_AUTO_TEST_CASE(chosen_steps_are_each_samples_own) {
  const Folder folder;
  const std::string problem = (folder / "mixture.json").string();
  spill(problem, mixture);
  const auto with = [&](std::vector<std::string> words) {
    for (const char* word :
         {"-n", "3", "--steps", "3", "--seed", "1", "--sampler", "rk45", "--grid", "lambda", "--json"})
      words.emplace_back(word);
    const auto o = run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return json::parse(o.out);
  };
  const json studied = with({"study", "gradient", problem, "--adjoint", "direct"}), sampled = with({"sample", problem});
  BOOST_TEST(row(studied, "lambda", 3, "direct")["nfe"] == sampled["nfe"]);
}

/// With Heun's samples, whose order is 2 on every schedule.
BOOST_AUTO_TEST_CASE(schedules_side_by_side) {
  const Folder folder;
  spill(folder / "mixture.json", mixture);
  const auto o =
      run({"study", "gradient", (folder / "mixture.json").string(), "--sampler", "heun", "--steps", "80,160",
           "--adjoint", "direct", "--grid", "lambda", "--schedule", "vp_cosine,ve,flow:t_max=0.98", "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const json found = json::parse(o.out);
  for (const std::string schedule : {"vp_cosine", "ve", "flow:t_max=0.98"}) {
    const auto error = [&](int steps) {
      return row(found, schedule + " lambda", steps, "direct")["truth_x_T"].get<double>();
    };
    BOOST_TEST(std::abs(std::log2(error(80) / error(160)) - 2) < 0.4, schedule << std::log2(error(80) / error(160)));
  }
}

// From pure noise lambda is infinite, and eps would not say what x_0 is: another grid and prediction, and no truth.
BOOST_AUTO_TEST_CASE(a_schedule_may_begin_at_pure_noise) {
  const Folder folder;
  spill(folder / "mixture.json", mixture);
  const auto o = run({"study", "gradient", (folder / "mixture.json").string(), "--steps", "5", "--adjoint",
                      "direct,checkpointed", "--schedule", "flow,ve", "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const json found = json::parse(o.out);
  BOOST_TEST(found["rows"].size() == 6U);
  BOOST_TEST(row(found, "flow t", 5, "checkpointed")["own_x_T"] == 0.0);
  BOOST_TEST(!row(found, "flow t", 5, "checkpointed")["truth_x_T"].is_number());
  BOOST_TEST(row(found, "ve lambda", 5, "checkpointed")["truth_x_T"].get<double>() > 0);
}

BOOST_AUTO_TEST_CASE(the_page_says_how_to_read_it) {
  const Folder folder;
  spill(folder / "mixture.json", mixture);
  const auto o = run({"study", "gradient", (folder / "mixture.json").string(), "--steps", "5,10", "--adjoint",
                      "checkpointed,adjointdeis-1,reversible", "--grid", "t"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  for (const char* part : {"How to read this", "true x_T", "Stiffness: adjointdeis-1", "2 - e^|h|", "Order in x_T",
                           "checkpointed     gradient of the sampler; order: exact", "Left out: reversible", "o-belm"})
    BOOST_TEST(o.out.find(part) != std::string::npos, part << " is not in\n" << o.out);
}

BOOST_AUTO_TEST_CASE(gradients_of_a_network_against_double_precision) {
  const auto o = run({"study", "gradient", "fashion-unet", "--steps", "3", "--adjoint", "direct,adjointdeis-1",
                      "--adjoint-steps", "3,6", "--grid", "t", "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const json found = json::parse(o.out);
  BOOST_TEST(found["rows"].size() == 3U);
  const json direct = row(found, "t", 3, "direct");
  for (const char* of : {"own_x_T", "own_z", "own_theta"}) {
    BOOST_TEST(direct[of].get<double>() > 0);  // single precision
    BOOST_TEST(direct[of].get<double>() < 1e-3);
  }
  BOOST_TEST(row(found, "t", 3, "adjointdeis-1", 6)["own_x_T"].get<double>() > 1e-2);
}

BOOST_AUTO_TEST_CASE(every_number_of_a_summary_has_a_key) {
  const auto o = run({"study", "gradient", "fashion-unet", "--steps", "2", "--adjoint", "checkpointed", "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const json found = json::parse(o.out), summary = found["summary"][0], detail = found["rows"][0];
  BOOST_TEST(summary.size() == 14U);
  BOOST_TEST(found["out"].empty());
  for (const std::string of : {"x_T", "z", "theta"})
    BOOST_TEST(std::abs(summary["own " + of].get<double>() / detail["own_" + of].get<double>() - 1) < 0.01);
  BOOST_TEST(std::abs(summary["peak KiB"].get<double>() * 1024 - detail["peak_bytes"].get<double>()) <= 512);
}

// The table is printed and the .csv written, though the plot cannot be drawn.
BOOST_AUTO_TEST_CASE(one_file_that_fails_takes_no_other_with_it) {
  const Folder folder, programs;
  const std::string gnuplot = (programs / "gnuplot").string(), path = std::getenv("PATH");
  spill(gnuplot, "#!/bin/sh\nexit 1\n");
  std::filesystem::permissions(gnuplot, std::filesystem::perms::owner_all);
  setenv("PATH", ((programs / "").string() + ":" + path).c_str(), 1);
  const std::string svg = (folder / "x.svg").string(), csv = (folder / "x.csv").string();
  const auto o = run(
      {"study", "gradient", "fashion-unet", "--steps", "1", "--adjoint", "checkpointed", "--out", svg, "--out", csv});
  setenv("PATH", path.c_str(), 1);
  BOOST_TEST(o.code == 1);
  BOOST_TEST(o.err.find("x.svg: gnuplot failed") != std::string::npos, o.err);
  BOOST_TEST(o.out.find("How to read this") != std::string::npos, o.out);
  BOOST_TEST((o.out.find("wrote " + csv) != std::string::npos && o.out.find("wrote " + svg) == std::string::npos));
  BOOST_TEST(lines(slurp(csv)) == 2U);
}

BOOST_AUTO_TEST_CASE(morphs_by_latent_optimisation) {
  const Folder folder;
  const std::string csv = (folder / "m.csv").string();
  const auto o =
      run({"study", "optimisation", "fashion-unet", "-n", "1", "--steps", "4", "--adjoint-steps", "4,2", "--iterations",
           "2", "--rate", "0.01", "--adjoint", "checkpointed,adjointdeis-1", "--out", csv, "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const json found = json::parse(o.out);
  BOOST_TEST(found["rows"].size() == 18U);  // ODE and SDE; checkpointed, M = 4 and 2; before, after 1, after 2
  std::map<std::string, double> first, last;
  for (const auto& r : found["rows"]) {
    const std::string name = r["equation"].get<std::string>() + r["adjoint"].get<std::string>();
    if (r["adjoint_steps"] != 4) continue;
    (r["iteration"] == 0 ? first : last)[name] = r["loss"].get<double>();
  }
  BOOST_TEST(first.at("ODEcheckpointed") == first.at("ODEadjointdeis-1"));
  for (const std::string equation : {"ODE", "SDE"})
    BOOST_TEST(last.at(equation + "checkpointed") < first.at(equation + "checkpointed"));
  BOOST_TEST(lines(slurp(folder / "m.csv")) == 19U);
}

BOOST_AUTO_TEST_CASE(morphs_of_several_seeds) {
  const auto summary = [](const std::string& option, const std::string& value) {
    const auto o = run({"study", "optimisation", "fashion-unet", "-n", "1", "--steps", "3", "--iterations", "1",
                        "--equation", "ODE", "--adjoint", "checkpointed", "--json", option, value});
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return json::parse(o.out)["summary"][0];
  };
  const json a = summary("--seed", "0"), b = summary("--seed", "2"), both = summary("--seeds", "2");
  const double x = a["after"], y = b["after"];
  BOOST_TEST(x != y);
  BOOST_TEST(a["+-"].is_null());
  BOOST_TEST(std::abs(both["after"].get<double>() - (x + y) / 2) < 1.01e-4);  // cells have four digits
  BOOST_TEST(std::abs(both["+-"].get<double>() - std::abs(x - y) / std::sqrt(2.0)) < 2e-4);
}

BOOST_AUTO_TEST_CASE(morphs_of_digits) {
  const auto weights = costate::shared_dir() / "weights";
  if (!std::filesystem::exists(weights / "mnist-cond-vit")) {
    BOOST_TEST_MESSAGE("skipped: no " << weights.string());
    return;
  }
  // The network's own schedule begins at pure noise, where the continuous adjoint has no clock.
  const Folder folder;
  json config = json::parse(slurp(weights / "mnist-cond-vit/config.json"));
  config["schedule"] = {{"type", "flow"}, {"t_min", 0.02}, {"t_max", 0.98}};
  config["sampling"] = {{"final", "first"}};
  spill(folder / "config.json", config.dump());
  const auto o = run({"study",
                      "optimisation",
                      (weights / "mnist-cond-vit/DiffusionViT.pth").string(),
                      "--config",
                      (folder / "config.json").string(),
                      "--loss-classifier",
                      (weights / "mnist-classifier/mnist.safetensors").string(),
                      "-n",
                      "4",
                      "--class",
                      "3,8,1,7",
                      "--steps",
                      "8",
                      "--adjoint-steps",
                      "8",
                      "--iterations",
                      "8",
                      "--rate",
                      "0.02",
                      "--grid",
                      "lambda",
                      "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  std::map<std::string, double> last;
  double first = 0;
  const json found = json::parse(o.out);
  for (const auto& r : found["rows"]) {
    BOOST_TEST(r["note"] == "");
    const std::string name = r["equation"].get<std::string>() + " " + r["adjoint"].get<std::string>();
    if (r["iteration"] == 0 && name == "ODE checkpointed") first = r["loss"].get<double>();
    if (r["iteration"] == 8 && r["adjoint_steps"] == 8) last[name] = r["loss"].get<double>();
  }
  BOOST_TEST(last.size() == 6U);
  BOOST_TEST(last.at("ODE checkpointed") < 0.9 * first);
  for (const std::string equation : {"ODE", "SDE"})
    for (const char* adjoint : {" adjointdeis-1", " adjointdeis-2m"})
      BOOST_TEST(last.at(equation + " checkpointed") < last.at(equation + adjoint), equation << adjoint);
}

BOOST_AUTO_TEST_CASE(every_adjoint_states_what_it_is) {
  const auto o = run({"list", "adjoints", "--json"});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const json all = json::parse(o.out);
  BOOST_TEST(all.size() >= 12U);
  for (const auto& adjoint : all) {
    for (const char* column : {"consistent with", "order", "memory", "reference"})
      BOOST_TEST(!adjoint[column].get<std::string>().empty(), adjoint["adjoint"] << ": " << column);
  }
}

BOOST_AUTO_TEST_CASE(wrong_studies) {
  BOOST_TEST(run({"study", "optimisation", "fashion-unet", "--equation", "PDE"}).code == 2);
  BOOST_TEST(run({"study", "optimisation", "fashion-unet", "--rate", "-1"}).code == 2);
  BOOST_TEST(run({"study", "optimisation", "fashion-unet", "--preset", "rate"}).code == 2);
  BOOST_TEST(run({"study", "optimisation", "fashion-unet", "--iterations", "0"}).code == 2);
  BOOST_TEST(run({"study", "optimisation", "fashion-unet", "--seeds", "0"}).code == 2);
  BOOST_TEST(run({"study", "optimisation", "fashion-unet", "--adjoint-steps", "4,0"}).code == 2);
  BOOST_TEST(run({"study", "gradient", "fashion-unet", "--steps", "5,0"}).code == 2);
  BOOST_TEST(run({"study", "gradient", "fashion-unet", "--adjoint-steps", "0"}).code == 2);
  const auto trained = run({"study", "gradient", "fashion-unet", "--schedule", "ve"});
  BOOST_TEST((trained.code == 2 && trained.err.find("--schedule") != std::string::npos), trained.err);
  BOOST_TEST(run({"study", "gradient", "fashion-unet", "--adjoint", "nonsense"}).code == 2);
}

BOOST_AUTO_TEST_SUITE_END()
