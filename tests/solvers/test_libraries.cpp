// Samplers against the trajectories of published implementations: every file of shared/fixtures/samplers.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>

#include "autodiff/ops/scale.h"
#include "tests/solvers/libraries/library.h"
#include "tests/support/inputs.h"
#include "tests/support/paths.h"

namespace costate {
namespace {

namespace fs = std::filesystem;

fs::path fixtures() { return shared_dir() / "fixtures/samplers"; }

/// What a file calls a prediction, in costate's names.
Prediction prediction_of(const std::string& name) {
  const std::map<std::string, std::string> ours = {{"eps", "epsilon"}, {"x0", "sample"}, {"v", "v_prediction"}};
  const auto it = ours.find(name);
  return prediction_from(it == ours.end() ? name : it->second);
}

/// A list (k, ...) of numbers as nested JSON.
std::string nested(const Tensor& t) {
  std::string text = "[";
  if (t.rank() == 1) {
    for (const double v : t.to_vector()) text += fmt::format("{}{}", text.size() > 1 ? "," : "", v);
  } else {
    for (std::int64_t i = 0; i < t.dim(0); ++i)
      text += (i > 0 ? "," : "") + nested(t.rows(i, 1).reshaped(Shape(t.shape().begin() + 1, t.shape().end())));
  }
  return text + "]";
}

ExactProblem problem_of(const Hdf5Reader& file, const std::string& denoiser) {
  const auto part = [&](const char* name) { return nested(file.read("denoisers/" + denoiser + "/" + name)); };
  const std::string json = denoiser == "dirac" ? R"({"family": "dirac_set", "points": )" + part("means")
                                               : R"({"family": "gaussian_mixture", "means": )" + part("means") +
                                                     R"(, "covariances": )" + part("covs");
  return exact_problem(Config::parse(json + R"(, "weights": )" + part("weights") + "}", denoiser));
}

Grid grid_of(const Hdf5Reader& file, const std::string& name) {
  const auto t = file.read(name + "/grid_t").to_vector(), alpha = file.read(name + "/grid_alpha").to_vector(),
             s = file.read(name + "/grid_sigma_hat").to_vector();
  Grid grid;
  for (std::size_t i = 0; i < t.size(); ++i) grid.push_back({t[i], alpha[i], alpha[i] > 0 ? alpha[i] * s[i] : 1});
  return grid;
}

FixtureCase case_of(const Hdf5Reader& file, const std::string& name) {
  const auto text = [&](const char* key) { return file.text(name, key).value(); };
  ExactProblem problem = problem_of(file, text("denoiser"));
  const Denoiser denoiser = as(problem, prediction_of(text("prediction")));
  return {.file = file,
          .stem = file.path().stem().string(),
          .name = name,
          .sampler = text("sampler"),
          .schedule = Config::parse(text("schedule"), name),
          .settings = Config::parse(text("settings"), name),
          .y_coordinates = text("coordinates") == "y",
          .grid_consistent = file.number(name, "grid_consistent").value_or(1) != 0,
          .nfe = file.integer(name, "nfe").value(),
          .grid = grid_of(file, name),
          .problem = problem,
          .denoiser = denoiser};
}

std::set<std::string> cases_in(const Hdf5Reader& file) {
  std::set<std::string> names;
  for (const auto& dataset : file.datasets()) names.insert(dataset.substr(0, dataset.find('/')));
  names.erase("denoisers");
  return names;
}

/// The worst relative difference of a replay from its case; NaN where something has another shape.
double worst_difference(const FixtureCase& c, const Replay& replay) {
  const Tensor x = c.read("x");
  if (static_cast<std::int64_t>(replay.x.size()) != x.dim(0)) return NAN;
  double worst = 0;
  const auto see = [&](double difference) { worst = std::isnan(difference) ? NAN : std::max(worst, difference); };
  for (std::size_t k = 0; k < replay.x.size(); ++k) {
    const Tensor expected = x.rows(static_cast<std::int64_t>(k), 1);
    see(relative_difference(replay.x[k], expected.reshaped(replay.x[k].shape())));
    if (std::isnan(worst)) break;
  }
  for (const auto& [name, found] : replay.also) see(relative_difference(found, c.read(name)));
  return worst;
}

struct Tally {
  int run = 0;
  double worst = 0;
  std::vector<std::string> not_run;
};

void check_file(const Library& library, const fs::path& path, Tally& tally) {
  const Hdf5Reader file(path.string());
  double worst = 0;
  for (const auto& name : cases_in(file)) {
    const FixtureCase c = case_of(file, name);
    try {
      const Replay replay = library.replay(c);
      if (!replay.not_run.empty()) {
        tally.not_run.push_back(c.stem + "/" + name + ": " + replay.not_run);
        continue;
      }
      const double difference = worst_difference(c, replay);
      BOOST_TEST(difference <= 1e-9, c.stem << "/" << name << ": off by " << difference);
      worst = std::max(worst, difference);
      ++tally.run;
    } catch (const Error& e) {
      BOOST_ERROR(c.stem << "/" << name << ": " << e.what());
    }
  }
  BOOST_TEST_MESSAGE(path.stem().string() << ": worst relative difference " << worst);
  tally.worst = std::max(tally.worst, worst);
}

}  // namespace

Sampler sampler_of(const FixtureCase& c, const std::string& stepper, const std::string& options) {
  return {.denoiser = c.denoiser, .grid = c.grid, .stepper = stepper_of(stepper, options), .noise = c.noise()};
}

Noise noise_by_step(const FixtureCase& c) {
  const Tensor noise = c.has("noise") ? c.read("noise") : Tensor();
  return [noise](const Draw& draw, const Tensor& like) { return noise.rows(draw.step, 1).reshaped(like.shape()); };
}

Replay states_of(const FixtureCase& c, const Sampler& sampler) {
  Replay replay;
  const Level& first = sampler.grid.front();
  sample(sampler, c.y_coordinates ? scale(c.read("x_T"), first.scale()) : c.read("x_T"), c.problem.p, {},
         [&](int level, const Tensor& x) {
           const double scale_y = c.y_coordinates ? sampler.grid[static_cast<std::size_t>(level)].scale() : 1;
           replay.x.push_back(scale(x, 1 / scale_y));
         });
  return replay;
}

Replay states_of_adaptive(const FixtureCase& c, Sampler sampler) {
  sampler.grid = {c.grid.front(), c.grid.back()};
  std::vector<Tensor> seen(c.grid.size());
  sampler.denoiser.net = [&, net = c.denoiser.net](const Tensor& x, const Level& at, const Tensors& p) {
    for (std::size_t k = 0; k + 1 < c.grid.size(); ++k)
      if (std::abs(at.s() / c.grid[k].s() - 1) < 1e-9) seen[k] = x;
    return net(x, at, p);
  };
  seen.back() = sample(sampler, c.read("x_T"), c.problem.p);
  for (const Tensor& x : seen) require(x.defined(), "the network was not called at every level of the case");
  return {.x = seen};
}

BOOST_AUTO_TEST_SUITE(published_libraries)

BOOST_AUTO_TEST_CASE(trajectories) {
  if (!fs::exists(fixtures())) {
    std::cerr << "SKIPPED: trajectories of published samplers: " << fixtures().string() << " is not there\n";
    return;
  }
  Tally tally;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fixtures()))
    if (entry.path().extension() == ".h5") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    const std::string stem = path.stem().string();
    const auto answers = [&](const Library& l) { return stem.rfind(l.files, 0) == 0; };
    const auto library = std::find_if(libraries().begin(), libraries().end(), answers);
    if (library == libraries().end())
      tally.not_run.push_back(stem + ": no file of tests/solvers/libraries answers for it");
    else
      check_file(*library, path, tally);
  }
  for (const auto& name : tally.not_run) BOOST_ERROR("not covered: " << name);
  BOOST_TEST_MESSAGE(tally.run << " cases, worst relative difference " << tally.worst);
  BOOST_TEST(tally.run > 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
