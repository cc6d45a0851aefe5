// diffusers' DDIM through the command: configuration, start and noise in, every state of the library's trajectory out.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

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
  const json settings = json::parse(file.text(name, "settings").value());
  json config = json::parse(file.text(name, "schedule").value());
  config["_class_name"] = "DDIMScheduler";
  for (const auto& [key, value] : settings.items())
    if (key != "eta" && key != "steps" && key != "next_on_grid") config[key] = value;
  const auto path = [&](const char* leaf) { return (folder / leaf).string(); };
  costate::test::spill(path("scheduler_config.json"), config.dump());
  costate::test::spill(path("problem.json"), problem_of(file, file.text(name, "denoiser").value()).dump());
  Hdf5Writer start(path("start.h5"));
  start.write("x_T", file.read(name + "/x_T"));
  if (file.contains(name + "/noise")) start.write("noise", file.read(name + "/noise"));
  start.finish();
  const auto o =
      costate::test::run({"sample", path("problem.json"), "--scheduler", path("scheduler_config.json"), "--start",
                          path("start.h5"), "--steps", std::to_string(settings["steps"].get<int>()), "--eta",
                          std::to_string(settings.value("eta", 0.0)), "--trajectory", "--out", path("out.h5")});
  BOOST_REQUIRE_MESSAGE(o.code == 0, name << ": " << o.err);
  const Hdf5Reader out(path("out.h5"));
  const auto found = out.read("x").to_vector(), expected = file.read(name + "/x").to_vector();
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  BOOST_TEST(out.integer("", "nfe").value() == file.integer(name, "nfe").value());
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    worst = std::max(worst, std::abs(found[i] - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  return worst / largest;
}

BOOST_AUTO_TEST_SUITE(schedulers)

BOOST_AUTO_TEST_CASE(ddim_as_diffusers) {
  const auto path = costate::shared_dir() / "fixtures/samplers/diffusers-ddim.h5";
  if (!std::filesystem::exists(path)) {
    BOOST_TEST_MESSAGE("SKIPPED: " << path << " is not there");
    return;
  }
  const Folder folder;
  const Hdf5Reader file(path);
  std::vector<std::string> settings{"sd-eta0", "sd-v-eta1", "sd-x0-eta0"};
  for (const char* spacing : {"leading", "trailing-ongrid", "linspace-ongrid"})
    for (const char* eta : {"0", "0.5", "1"}) settings.push_back(std::string(spacing) + "-eta" + eta);
  for (const auto& setting : settings) {
    for (const char* run : {"-mixture-n10", "-mixture-n25", "-dirac-n10", "-gauss-n10"}) {
      const double off = deviation(folder, file, setting + run);
      BOOST_TEST(off < 1e-9, setting << run << " is off by " << off);
    }
  }
}

BOOST_AUTO_TEST_CASE(spacings_that_are_not_read_are_refused) {
  const Folder folder;
  costate::test::spill(folder / "problem.json", R"({"family": "gaussian", "mean": [0], "covariance": [[1]]})");
  costate::test::spill(folder / "scheduler.json", R"({"use_karras_sigmas": true})");
  const auto o = costate::test::run(
      {"sample", (folder / "problem.json").string(), "--scheduler", (folder / "scheduler.json").string()});
  BOOST_TEST(o.code == 1);
  BOOST_TEST(o.err.find("use_karras_sigmas") != std::string::npos, o.err);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
