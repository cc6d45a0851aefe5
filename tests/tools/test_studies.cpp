// costate study: what the tables say, on exact problems.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "core/random.h"
#include "io/hdf5.h"
#include "tests/tools/command.h"

using costate::Hdf5Writer;
using costate::normal_noise;
using costate::Tensor;
using costate::test::Folder;
using costate::test::Outcome;
using costate::test::run;
using costate::test::spill;
using nlohmann::json;

namespace tt = boost::test_tools;

namespace {

json study(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "study");
  arguments.emplace_back("--json");
  const Outcome o = run(arguments);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  return json::parse(o.out);
}

void write_data(const std::filesystem::path& file, const Tensor& x) {
  Hdf5Writer out(file.string());
  out.write("x", x);
  out.finish();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(studies)

BOOST_AUTO_TEST_CASE(orders_of_paths_and_of_moments) {
  const json j = study({"order", "--sampler", "heun,ddim:eta=1,lms-3:starter=rk4,tsit5", "--schedule", "vp_linear,flow",
                        "--prediction", "v_prediction,sample", "--steps", "1280"});
  BOOST_TEST(j["notes"].empty());         // what is left out is named where all samplers are meant
  BOOST_TEST(j["summary"].size() == 8U);  // curved and noise of three, weak and strong of one
  for (const auto& row : j["summary"])
    BOOST_TEST(row["cases"] == row["passed"], row["sampler"].get<std::string>() << ": " << row.dump());
  for (const auto& row : j["rows"]) {
    BOOST_TEST(row["error"].get<double>() > 0);
    if (row["sampler"] == "heun" && row["fitted"] == "yes") BOOST_TEST(row["steps"].get<int>() >= 40);
  }
}

BOOST_AUTO_TEST_CASE(a_run_that_is_not_measured_does_not_pass) {
  // A step to lambda = 3 from 100 levels of 1/N cannot be had from a sampler whose tolerance it never meets.
  const json j = study({"order", "--sampler", "dpm-adaptive-3:h_init=1e-13", "--schedule", "edm", "--prediction",
                        "epsilon", "--steps", "160"});
  for (const auto& row : j["rows"]) {
    BOOST_TEST(row["passed"] == "no");
    BOOST_TEST(row["why_below"].get<std::string>().find("underflows") != std::string::npos);
  }
  BOOST_TEST(run({"study", "order", "--steps", "80"}).code == 2);
  BOOST_TEST(run({"study", "order", "--sampler", "heun:alhpa=1"}).err.find("alpha") != std::string::npos);
}

// Polynomials in t have order 2 where lambda has kinks in t; on smooth schedules DEIS comes to its order late.
BOOST_AUTO_TEST_CASE(what_is_below_its_order_has_a_reason) {
  const json j = study({"order", "--sampler", "deis-3:starter=rk4", "--schedule", "ddpm,edm_ve", "--prediction",
                        "epsilon", "--steps", "640"});
  const auto note = [&](const std::string& beginning, const std::string& end) {
    return std::count_if(j["notes"].begin(), j["notes"].end(), [&](const json& n) {
      const auto text = n.get<std::string>();
      return text.rfind(beginning, 0) == 0 && text.find(end) != std::string::npos;
    });
  };
  BOOST_TEST(note("order 2 expected of deis-3:starter=rk4 on ddpm:", "kink at every index") == 1);
  BOOST_TEST(note("below its order: deis-3:starter=rk4, edm_ve, noise", "from 320 to 640 it is 3.8") == 1);
  for (const auto& row : j["summary"])
    if (row["order"] == 2) BOOST_TEST(row["passed"] == row["cases"], row.dump());
  for (const auto& row : j["rows"]) BOOST_TEST(row["why_below"].get<std::string>().empty() == (row["passed"] == "yes"));
}

BOOST_AUTO_TEST_CASE(quality_improves_with_the_steps) {
  const Folder folder;
  spill(folder / "normal.json", R"({"family": "gaussian", "mean": [1, -1], "covariance": [[0.25, 0.1], [0.1, 0.09]]})");
  // The same law: x = mean + L z, L L^T = covariance.
  const auto z = normal_noise(7, 0, 700, 0, {2}).to_vector();
  std::vector<double> x;
  for (std::size_t i = 0; i < z.size(); i += 2) {
    x.push_back(1 + 0.5 * z[i]);
    x.push_back(-1 + 0.2 * z[i] + std::sqrt(0.05) * z[i + 1]);
  }
  write_data(folder / "data.h5", Tensor::from(x, {700, 2}));
  const json j = study({"quality", (folder / "normal.json").string(), "--data", (folder / "data.h5").string(),
                        "--sampler", "ddim,heun", "--steps", "2,30", "-n", "300", "--references", "400"});
  BOOST_REQUIRE(j["rows"].size() == 5U);
  const auto row = [&](std::size_t i, const char* key) { return j["rows"][i][key].get<double>(); };
  BOOST_TEST(j["rows"][0]["sampler"] == "(data)");
  for (const char* measure : {"sliced_wasserstein", "energy", "covariance"})
    BOOST_TEST(row(2, measure) < row(1, measure), measure << " of ddim");
  BOOST_TEST(row(4, "evaluations") == 60);
  BOOST_TEST(row(4, "sliced_wasserstein") < 0.1);  // both are drawn: of the order of 0.5 / sqrt(300)
  BOOST_TEST(row(0, "sliced_wasserstein") < 0.1);
  BOOST_TEST(run({"study", "quality", (folder / "normal.json").string()}).err.find("--data") != std::string::npos);
  // Where steps are chosen, each sample has its own, as in `sample`.
  spill(folder / "mixture.json",
        R"({"family": "gaussian_mixture", "weights": [0.4, 0.6], "means": [[1.5, -1], [-2, 0.5]],
    "covariances": [[[0.2, 0], [0, 0.3]], [[0.1, 0.05], [0.05, 0.4]]]})");
  const std::string mixture = (folder / "mixture.json").string();
  const json chosen = study({"quality", mixture, "--data", (folder / "data.h5").string(), "--sampler", "rk45",
                             "--steps", "2", "-n", "6", "--references", "9"});
  const Outcome sampled = run({"sample", mixture, "--sampler", "rk45", "--steps", "2", "-n", "6", "--json"});
  BOOST_TEST(chosen["rows"].back()["evaluations"] == json::parse(sampled.out)["nfe"]);
}

BOOST_AUTO_TEST_CASE(the_ideal_denoiser_has_no_error) {
  const Folder folder;
  spill(folder / "points.json", R"({"family": "dirac_set", "points": [[0, 0.5], [0, 0], [0.5, 0], [1, 1]],
    "schedule": {"type": "ve", "sigma_min": 0.01, "sigma_max": 10}})");
  write_data(folder / "data.h5", Tensor::from({0, 0.5, 0, 0, 0.5, 0, 1, 1}, {4, 2}));
  const json j = study({"error-model", (folder / "points.json").string(), "--data", (folder / "data.h5").string(),
                        "--steps", "12", "-n", "5"});
  BOOST_REQUIRE(j["rows"].size() == 12U);
  for (const auto& row : j["rows"]) BOOST_TEST(row["to_ideal_50"].get<double>() < 1e-9);
  BOOST_TEST(j["rows"][11]["eta_50"].get<double>() < 1e-6);  // near the data: the nearest point is the mean
  write_data(folder / "bad.h5", Tensor::from({0, INFINITY}, {1, 2}));
  const Outcome bad =
      run({"study", "error-model", (folder / "points.json").string(), "--data", (folder / "bad.h5").string()});
  BOOST_TEST((bad.code == 1 && bad.err.find("infinity at element 1") != std::string::npos), bad.err);
  // A path that chooses its steps is the same beside others: of two, the first is the nearer or the farther one.
  const auto chosen = [&](const char* count) {
    return study({"error-model", (folder / "points.json").string(), "--data", (folder / "data.h5").string(), "--steps",
                  "4", "--sampler", "dpm-adaptive-2", "-n", count})["rows"];
  };
  const json one = chosen("1"), two = chosen("2");
  for (std::size_t i = 0; i < 4; ++i) {
    const auto alone = one[i]["distance_50"];
    BOOST_TEST((alone == two[i]["distance_10"] || alone == two[i]["distance_90"]), "level " << i << ": " << alone);
  }
  BOOST_TEST(j["rows"][0]["radius"].get<double>() == std::sqrt(2) * 10, tt::tolerance(1e-5));
}

// Gradient descent by small steps goes down if the gradient is that of the loss. The morph's loss is twice the distance to the farther sample.
BOOST_AUTO_TEST_CASE(morphs_descend_by_the_exact_gradient) {
  const auto morphs = [](std::vector<std::string> more) {
    more.insert(more.begin(),
                {"optimisation", "fashion-unet", "-n", "1", "--steps", "3", "--iterations", "2", "--optimiser", "sgd"});
    return study(more);
  };
  const json j = morphs({"--adjoint", "checkpointed,direct,adjointdeis-1", "--adjoint-steps", "2", "--rate", "0.03,0.1",
                         "--equation", "ODE"});
  BOOST_REQUIRE(j["summary"].size() == 6U);
  BOOST_REQUIRE(j["rows"].size() == 6U * 3);
  const auto number = [](const json& row, const char* key) { return row[key].get<double>(); };
  for (std::size_t i = 0; i < 6; ++i) {
    const json& row = j["summary"][i];
    const bool exact = i < 4;
    BOOST_TEST(row["M"] == (exact ? 3 : 2));
    BOOST_TEST(number(row, "loss before") == number(j["summary"][0], "loss before"));
    BOOST_TEST(std::abs(2 * number(row, "farther") - number(row, "after")) < 2e-4);
    BOOST_TEST((number(row, "of exact") == 1) == exact);
    std::vector<double> losses;
    for (std::size_t k = 0; k < 3; ++k) losses.push_back(number(j["rows"][3 * i + k], "loss"));
    BOOST_TEST(std::abs(losses.back() - number(row, "after")) < 1e-4);
    if (exact) BOOST_TEST((losses[0] > losses[1] && losses[1] > losses[2]), row.dump());
    if (i == 2 || i == 3)  // direct: the same gradient, in half the evaluations
      for (std::size_t k = 0; k < 3; ++k)
        BOOST_TEST(losses[k] == number(j["rows"][3 * (i - 2) + k], "loss"), tt::tolerance(1e-5));
  }
  BOOST_TEST(j["summary"][0]["evaluations"] == 12);
  BOOST_TEST(j["summary"][2]["evaluations"] == 6);
  BOOST_TEST(j["summary"][4]["evaluations"] == 10);
  // Seeds of a pair are two apart: means, and the standard deviation of two.
  const auto one = [&](const char* seed) {
    return morphs({"--adjoint", "direct", "--rate", "0.1", "--seed", seed})["summary"];
  };
  const json first = one("0"), second = one("2"),
             both = morphs({"--adjoint", "direct", "--rate", "0.1", "--seeds", "2"})["summary"];
  BOOST_REQUIRE(both.size() == 2U);
  BOOST_TEST(number(both[0], "loss before") != number(both[1], "loss before"));  // ODE and SDE
  for (std::size_t i = 0; i < 2; ++i) {
    const double u = number(first[i], "after"), v = number(second[i], "after");
    BOOST_TEST(std::abs(number(both[i], "after") - (u + v) / 2) < 2e-4);
    BOOST_TEST(std::abs(number(both[i], "+-") - std::abs(u - v) / std::sqrt(2)) < 2e-4);
  }
  BOOST_TEST(run({"study", "optimisation", "fashion-unet", "--equation", "PDE"}).code == 2);
  BOOST_TEST(run({"study", "optimisation", "fashion-unet", "--rate", "0.1,-1"}).err.find("--rate -1") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
