// diffusers' schedulers through the command: configuration, start and noise in, every state of the library's trajectory out.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "io/hdf5.h"
#include "tests/support/paths.h"
#include "tests/tools/command.h"

namespace {

using costate::Hdf5Reader;
using costate::Hdf5Writer;
using costate::Tensor;
using costate::test::Folder;
using nlohmann::json;

/// Nested lists of a tensor's values.
json lists(const Tensor& t) {
  if (t.rank() == 0) return t.item();
  json list = json::array();
  for (std::int64_t i = 0; i < t.dim(0); ++i) {
    const costate::Shape rest(t.shape().begin() + 1, t.shape().end());
    list.push_back(lists(t.rows(i, 1).reshaped(rest)));
  }
  return list;
}

json problem_of(const Hdf5Reader& file, const std::string& denoiser) {
  const std::string at = "denoisers/" + denoiser + "/";
  return {{"family", "gaussian_mixture"},
          {"weights", lists(file.read(at + "weights"))},
          {"means", lists(file.read(at + "means"))},
          {"covariances", lists(file.read(at + "covs"))}};
}

/// The case's worst state, relative to the largest entry of its trajectory.
double deviation(const Folder& folder, const Hdf5Reader& file, const std::string& name) {
  json config = json::parse(file.text(name, "settings").value());
  const int steps = config["steps"].get<int>();
  const bool on_grid = config.value("next_on_grid", false);
  for (const char* key : {"steps", "next_on_grid"}) config.erase(key);
  if (const json schedule = json::parse(file.text(name, "schedule").value()); !schedule.contains("type"))
    config.update(schedule);
  config["_class_name"] = file.text(name, "sampler").value();
  const auto path = [&](const char* leaf) { return (folder / leaf).string(); };
  costate::test::spill(path("scheduler_config.json"), config.dump());
  costate::test::spill(path("problem.json"), problem_of(file, file.text(name, "denoiser").value()).dump());
  Hdf5Writer start(path("start.h5"));
  start.write("x_T", file.read(name + "/x_T"));
  if (file.contains(name + "/noise")) start.write("noise", file.read(name + "/noise"));
  start.finish();
  std::vector<std::string> words{"sample",       path("problem.json"),
                                 "--scheduler",  path("scheduler_config.json"),
                                 "--start",      path("start.h5"),
                                 "--steps",      std::to_string(steps),
                                 "--trajectory", "--out",
                                 path("out.h5")};
  if (!on_grid) words.emplace_back("--compat");
  const auto o = costate::test::run(words);
  BOOST_REQUIRE_MESSAGE(o.code == 0, name << ": " << o.err);
  const Hdf5Reader out(path("out.h5"));
  const auto found = out.read("x").to_vector(), expected = file.read(name + "/x").to_vector();
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  BOOST_TEST(out.integer("", "nfe").value() == file.integer(name, "nfe").value(), name);
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    worst = std::max(worst, std::abs(found[i] - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  return worst / largest;
}

/// A scheduler's configuration on a problem of one dimension.
costate::test::Outcome sample_with(const Folder& folder, const std::string& scheduler,
                                   const std::vector<std::string>& more = {}) {
  costate::test::spill(folder / "problem.json", R"({"family": "gaussian", "mean": [0], "covariance": [[1]]})");
  costate::test::spill(folder / "scheduler.json", scheduler);
  std::vector<std::string> words{"sample", (folder / "problem.json").string(), "--scheduler",
                                 (folder / "scheduler.json").string()};
  words.insert(words.end(), more.begin(), more.end());
  return costate::test::run(words);
}

BOOST_AUTO_TEST_SUITE(schedulers)

// The mixture in 10 steps of every setting; tests/solvers/test_libraries.cpp runs the other cases.
BOOST_AUTO_TEST_CASE(as_diffusers) {
  const auto fixtures = costate::shared_dir() / "fixtures/samplers";
  if (!std::filesystem::exists(fixtures)) {
    BOOST_TEST_MESSAGE("SKIPPED: " << fixtures << " is not there");
    return;
  }
  const Folder folder;
  int run = 0;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures)) {
    if (entry.path().stem().string().rfind("diffusers-", 0) != 0) continue;
    const Hdf5Reader file(entry.path());
    std::set<std::string> names;
    for (const auto& dataset : file.datasets()) names.insert(dataset.substr(0, dataset.find('/')));
    for (const auto& name : names) {
      if (name.find("-mixture-n10") == std::string::npos) continue;
      const double off = deviation(folder, file, name);
      BOOST_TEST(off < 1e-9, entry.path().stem() << ", " << name << " is off by " << off);
      ++run;
    }
  }
  BOOST_TEST(run > 100);
}

BOOST_AUTO_TEST_CASE(what_is_not_known_is_refused_by_name) {
  struct Case {
    const char* config;
    std::vector<const char*> named;
  };
  const Folder folder;
  for (const Case& c :
       {Case{R"({"beta_start": 1e-4})", {"_class_name"}},
        Case{R"({"_class_name": "DDIMSchedular"})", {"DDIMSchedular", "DDIMScheduler"}},
        Case{R"({"_class_name": "DDIMScheduler", "timestep_spacin": "leading"})",
             {"timestep_spacin", "timestep_spacing"}},
        Case{R"({"_class_name": "DDIMScheduler", "use_karras_sigmas": true})", {"use_karras_sigmas"}},
        Case{R"({"_class_name": "DDIMScheduler", "prediction_type": "flow"})", {"prediction_type", "flow"}},
        Case{R"({"_class_name": "DPMSolverMultistepScheduler", "solver_order": 4})", {"solver_order", "4"}},
        Case{R"({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"})", {"final_sigmas_type"}},
        Case{R"({"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": true, "use_beta_sigmas": true})",
             {"use_karras_sigmas", "use_beta_sigmas"}},
        Case{R"({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver", "solver_order": 3,)"
             R"( "final_sigmas_type": "sigma_min"})",
             {"solver_order", "3", "sde-dpmsolver"}},
        Case{R"({"_class_name": "PNDMScheduler", "prediction_type": "sample"})", {"prediction_type", "sample"}},
        Case{R"({"_class_name": "DDIMInverseScheduler"})", {"DDIMInverseScheduler", "costate encode"}},
        Case{R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": true})", {"invert_sigmas", "true"}},
        Case{R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true})", {"mu"}}}) {
    const auto o = sample_with(folder, c.config, {"--compat"});
    BOOST_TEST(o.code != 0, c.config);
    for (const char* word : c.named) BOOST_TEST(o.err.find(word) != std::string::npos, c.config << ": " << o.err);
  }
}

BOOST_AUTO_TEST_CASE(arguments_of_its_calls_come_from_the_command_line) {
  const Folder folder;
  const auto euler = R"({"_class_name": "EulerDiscreteScheduler", "_note": "ignored"})";
  BOOST_TEST(sample_with(folder, euler, {"--set", "s_churn=4", "--set", "s_tmax=10"}).code == 0);
  const auto o = sample_with(folder, euler, {"--set", "s_chrun=4"});
  BOOST_TEST(o.code == 2);
  BOOST_TEST(o.err.find("s_churn") != std::string::npos, o.err);
  BOOST_TEST(sample_with(folder, euler, {"--sampler", "heun", "--grid", "lambda"}).code == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
