// The command with --device cuda: what it writes, against what it writes without.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>

#include "io/hdf5.h"
#include "tests/gpu/second_run.h"
#include "tests/tools/command.h"

namespace costate {
namespace {

using test::Folder;

/// The program whose device is the shim, or the one that has a device.
std::filesystem::path program() { return takes_turns ? command_path().parent_path() / "costate-shim" : command_path(); }

std::string network() { return (source_dir() / "tests/data/networks/diffusers-unet2d-scaleshift").string(); }

/// The largest of all gradients in weights: some are zero but for rounding, as those of keys' biases are.
double scale_of(const Hdf5Reader& file, const std::string& name) {
  double largest = 0;
  for (const auto& other : file.datasets()) {
    if (other != name && (name.rfind("g_theta/", 0) != 0 || other.rfind("g_theta/", 0) != 0)) continue;
    for (const double v : file.read(other).to_vector()) largest = std::max(largest, std::abs(v));
  }
  return largest;
}

double difference(const Tensor& a, const Tensor& b) {
  const auto u = a.to_vector(), v = b.to_vector();
  double largest = u.size() == v.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < v.size() && i < u.size(); ++i) largest = std::max(largest, std::abs(u[i] - v[i]));
  return largest;
}

/// Runs twice with --out FILE.h5, and compares all that was written.
void compare(std::vector<std::string> arguments, double bound, const std::vector<std::string>& there_only = {}) {
  const Folder folder;
  const std::string here = (folder / "here.h5").string(), there = (folder / "there.h5").string();
  arguments.insert(arguments.end(), {"--quiet", "--out", here});
  const auto on_cpu = test::run(arguments);
  BOOST_REQUIRE_MESSAGE(on_cpu.code == 0, on_cpu.err);
  arguments.back() = there;
  arguments.insert(arguments.end(), {"--device", "cuda"});
  arguments.insert(arguments.end(), there_only.begin(), there_only.end());
  const auto on_device = test::run(arguments, 0, program());
  BOOST_REQUIRE_MESSAGE(on_device.code == 0, on_device.err);
  const Hdf5Reader a(there), b(here);
  BOOST_TEST(!b.datasets().empty());
  for (const auto& name : b.datasets()) {
    const double off = difference(a.read(name), b.read(name)) / scale_of(b, name);
    BOOST_TEST(off <= bound, arguments[0] << ": " << name << " is " << off << " off");
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_commands)

BOOST_AUTO_TEST_CASE(every_kind_of_work_gives_the_same_results) {
  const Folder folder;
  const std::string problem = (folder / "mixture.json").string(), start = (folder / "start.h5").string();
  test::spill(problem, R"({"family": "gaussian_mixture", "weights": [0.5, 0.5], "means": [[1, 0.3], [-0.7, 0.9]],
    "covariances": [[[0.02, 0], [0, 0.03]], [[0.05, 0.01], [0.01, 0.02]]]})");
  compare({"sample", problem, "-n", "3", "--steps", "3", "--sampler", "ddpm", "--noise", "tree"}, 1e-11);
  compare({"sample", problem, "-n", "2", "--steps", "2", "--sampler", "dpm-adaptive", "--trajectory"}, 1e-11);
  compare({"grad", problem, "-n", "2", "--steps", "3", "--loss", "norm"}, 1e-11);
  BOOST_REQUIRE(test::run({"sample", problem, "-n", "2", "--steps", "2", "--quiet", "--out", start}).code == 0);
  {
    Hdf5Writer out(start);
    out.write("x", Tensor::from({1, 0.2, -0.6, 1}, {2, 2}));
    out.finish();
  }
  compare({"encode", problem, "--in", start, "--steps", "3"}, 1e-11);
  compare({"eval", network(), "--dtype", "f64", "--vjp", "--in", network() + "/in.h5"}, 1e-11);
  compare({"grad", network(), "-n", "1", "--steps", "1", "--dtype", "f64", "--wrt", "x_T,theta", "--loss", "norm"},
          1e-11);
  compare({"guide", network(), "-n", "1", "--steps", "1", "--iterations", "2", "--loss", "mean", "--dtype", "f64"},
          1e-9);
}

BOOST_AUTO_TEST_CASE(ways_of_computing_are_chosen_by_name) {
  const auto says = [](const std::vector<std::string>& more, const std::filesystem::path& by, int code,
                       const std::string& part) {
    std::vector<std::string> all{"eval", network(), "--repeat", "1"};
    all.insert(all.end(), more.begin(), more.end());
    const auto o = test::run(all, 0, by);
    BOOST_TEST(o.code == code, o.err);
    BOOST_TEST((o.err + o.out).find(part) != std::string::npos, "'" << part << "' is not in: " << o.err);
  };
  says({"--conv", "cudnn"}, command_path(), 2, "--conv cudnn: on --device cpu there are auto and direct");
  says({"--matmul", "tf32"}, command_path(), 2, "--matmul tf32: a CPU has none");
  says({"--matmul", "bf16"}, command_path(), 2, "there are f32 and tf32");
  says({"--device", "cuda", "--conv", "winograd"}, program(), 2,
       "on --device cuda there are own, direct, cudnn and auto");
  says({"--device", "cuda", "--json"}, program(), 0, "\"conv\": \"winograd\"");
  says({"--device", "cuda", "--conv", "direct", "--json"}, program(), 0, "\"conv\": \"direct\"");
  says({"--device", "cuda", "--matmul", "tf32", "--json"}, program(), 0, "\"conv\": \"direct\"");
  compare({"eval", network(), "--in", network() + "/in.h5", "--vjp"}, 3e-2, {"--matmul", "tf32"});
  if (!takes_turns) return;
  const char* const fake = std::getenv("COSTATE_CUDNN");
  if (fake != nullptr) {
    compare({"eval", network(), "--in", network() + "/in.h5", "--vjp"}, 1e-4, {"--conv", "cudnn"});
    says({"--device", "cuda", "--conv", "cudnn", "--json"}, program(), 0, "\"conv\": \"cudnn\"");
  }
  const std::string before = fake == nullptr ? "" : fake;
  setenv("COSTATE_CUDNN", "/nowhere/libcudnn.so.9", 1);
  says({"--device", "cuda", "--conv", "cudnn"}, program(), 1,
       "set COSTATE_CUDNN to its libcudnn.so.9, or use --conv own");
  says({"--device", "cuda", "--conv", "auto"}, program(), 0, "");
  before.empty() ? unsetenv("COSTATE_CUDNN") : setenv("COSTATE_CUDNN", before.c_str(), 1);
}

BOOST_AUTO_TEST_CASE(the_version_says_what_there_is) {
  const auto with = [](const char* cudnn) {
    const char* const set = std::getenv("COSTATE_CUDNN");
    const std::string before = set == nullptr ? "" : set;
    if (cudnn != nullptr) setenv("COSTATE_CUDNN", cudnn, 1);
    const auto o = test::run({"--version"}, 0, program());
    before.empty() ? unsetenv("COSTATE_CUDNN") : setenv("COSTATE_CUDNN", before.c_str(), 1);
    BOOST_TEST(o.code == 0, o.err);
    return o.out;
  };
  const std::string none = with("/nowhere/libcudnn.so.9");
  BOOST_TEST(none.find(", built with CUDA 1") != std::string::npos, none);
  BOOST_TEST(none.find("cuDNN none)") != std::string::npos, none);
  BOOST_TEST(none.find(takes_turns ? "driver none," : "driver for CUDA 1") != std::string::npos, none);
  if (takes_turns && std::getenv("COSTATE_CUDNN") != nullptr)
    BOOST_TEST(with(nullptr).find("cuDNN 9.99.99)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(reports_say_where) {
  const auto o = test::run({"eval", network(), "--device", "cuda", "--repeat", "1", "--json"}, 0, program());
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  BOOST_TEST(nlohmann::json::parse(o.out)["device"] == "cuda");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
