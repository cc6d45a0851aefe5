// diffusers' classes and options of which shared/fixtures/samplers has no trajectories, against tests/data/solvers/diffusers-schedulers.json,
// which the library made in f64: states, and noise in the order in which it was drawn.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "io/hdf5.h"
#include "tests/support/inputs.h"
#include "tests/tools/command.h"

namespace {

using costate::Hdf5Reader;
using costate::Hdf5Writer;
using costate::Tensor;
using costate::test::Folder;
using nlohmann::json;

void append(std::vector<double>& values, const json& lists) {
  if (lists.is_number()) return values.push_back(lists.get<double>());
  for (const json& each : lists) append(values, each);
}

/// Nested lists of equal length.
Tensor tensor_of(const json& lists) {
  std::vector<std::int64_t> extents;
  for (const json* at = &lists; at->is_array(); at = &(*at)[0])
    extents.push_back(static_cast<std::int64_t>(at->size()));
  std::vector<double> values;
  append(values, lists);
  return Tensor::from(values, costate::Shape(extents));
}

/// Upwards by `encode`, which shows the last state alone; downwards by `sample`, which shows all.
struct Way {
  std::string command, input, output;
  explicit Way(bool up) : command(up ? "encode" : "sample"), input(up ? "x" : "x_T"), output(up ? "x_T" : "x") {}
};

double deviation(const Folder& folder, const json& problem, const json& c) {
  const auto path = [&](const char* leaf) { return (folder / leaf).string(); };
  const std::string name = c["config"]["_class_name"];
  const bool up = name.find("Inverse") != std::string::npos;
  const Way way(up);
  costate::test::spill(path("problem.json"), problem.dump());
  costate::test::spill(path("scheduler.json"), c["config"].dump());
  const Tensor x = tensor_of(c["x"]);
  const auto state = [&](std::int64_t k) { return x.rows(k, 1).reshaped({x.dim(1), x.dim(2)}); };
  Hdf5Writer start(path("start.h5"));
  start.write(way.input, state(0));
  if (c.contains("noise")) start.write("noise", tensor_of(c["noise"]));
  start.finish();
  std::vector<std::string> words{
      way.command,   path("problem.json"), "--scheduler",           path("scheduler.json"), "--compat",
      "--steps",     c["steps"].dump(),    up ? "--in" : "--start", path("start.h5"),       "--out",
      path("out.h5")};
  if (!up) words.emplace_back("--trajectory");
  if (c.contains("set"))
    for (const auto& [key, value] : c["set"].items()) words.insert(words.end(), {"--set", key + "=" + value.dump()});
  const auto o = costate::test::run(words);
  BOOST_REQUIRE_MESSAGE(o.code == 0, name << ": " << o.err);
  const Tensor found = Hdf5Reader(path("out.h5")).read(way.output);
  return costate::relative_difference(found, up ? state(x.dim(0) - 1) : x);
}

BOOST_AUTO_TEST_SUITE(scheduler_classes)

BOOST_AUTO_TEST_CASE(as_diffusers) {
  const auto all =
      json::parse(costate::test::slurp(costate::source_dir() / "tests/data/solvers/diffusers-schedulers.json"));
  const Folder folder;
  for (const auto& c : all["cases"]) {
    const double off = deviation(folder, all["problem"], c);
    BOOST_TEST(off < 1e-12, c["config"].dump() << " is off by " << off);
  }
  BOOST_TEST(all["cases"].size() == 45);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
