// `costate grad` against others' gradients: the samplers of real networks in shared/weights, the small network of
// shared/fixtures/gradients by every method that its files have.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "autodiff/ops/cast.h"
#include "core/random.h"
#include "io/hdf5.h"
#include "tests/support/paths.h"
#include "tests/tools/command.h"

using costate::Hdf5Reader;
using costate::Hdf5Writer;
using costate::shared_dir;
using costate::Tensor;
using costate::test::Folder;
using costate::test::run;
namespace fs = std::filesystem;

namespace {

Hdf5Reader result(const Folder& folder, std::vector<std::string> arguments) {
  const std::string file = (folder / "out.h5").string();
  arguments.insert(arguments.end(), {"--dtype", "f64", "--out", file});
  const auto o = run(arguments);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  return Hdf5Reader(file);
}

void check_close(const std::vector<double>& found, const std::vector<double>& expected, double bound,
                 const std::string& what) {
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  double off = 0, size = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    off = std::max(off, std::abs(found[i] - expected[i]));
    size = std::max(size, std::abs(expected[i]));
  }
  BOOST_TEST_MESSAGE(what << ": off by " << off / size);
  BOOST_TEST(off <= bound * size, what << ": off by " << off / size);
}

/// Sum, norm and sum of cos(i) g_i against those of the file, relative to the norm.
void check_sums(const Tensor& g, const Tensor& expected, const std::string& what) {
  const auto v = g.to_vector(), check = expected.to_vector();
  double sum = 0, squares = 0, wave = 0;
  for (std::size_t i = 0; i < v.size(); ++i)
    sum += v[i], squares += v[i] * v[i], wave += std::cos(static_cast<double>(i)) * v[i];
  const double unit = 1e-8 * std::max(check[1], 1e-6);  // some parameters have an exactly zero gradient
  BOOST_TEST(std::abs(sum - check[0]) < unit, what);
  BOOST_TEST(std::abs(std::sqrt(squares) - check[1]) < unit, what);
  BOOST_TEST(std::abs(wave - check[2]) < unit, what);
}

/// States after 1, 10 and 20 steps, the loss, and every gradient of a sample.h5.
void check_sampler(const std::string& model, const fs::path& file, const std::vector<std::string>& more = {}) {
  const Folder folder;
  const Hdf5Reader want(file);
  std::vector<std::string> tail{model, "--start", file.string(), "--grid", file.string(), "--sampler", "ddim"};
  tail.insert(tail.end(), more.begin(), more.end());
  auto sample = tail, grad = tail;
  sample.insert(sample.begin(), "sample");
  sample.emplace_back("--trajectory");
  grad.insert(grad.begin(), "grad");
  const Hdf5Reader path = result(folder, sample);
  const Tensor x = path.read("x"), states = want.read("states");
  for (const auto& [at, row] : {std::pair{1, 0}, {10, 1}, {20, 2}})
    check_close(x.rows(at, 1).to_vector(), states.rows(row, 1).to_vector(), 1e-10, "state " + std::to_string(at));
  BOOST_TEST(path.integer("", "nfe").value() == 20);
  const Hdf5Reader g = result(folder, grad);
  BOOST_TEST(std::abs(g.read("loss").item() / want.number("", "L").value() - 1) < 1e-10);
  int sums = 0;
  for (const auto& name : want.datasets()) {
    if (name.rfind("g_theta_check/", 0) == 0)
      ++sums, check_sums(g.read("g_theta/" + name.substr(14)), want.read(name), name);
    else if (name.rfind("g_", 0) == 0)
      check_close(g.read(name).to_vector(), want.read(name).to_vector(), 1e-8, name);
  }
  BOOST_TEST(sums > 0);
}

bool skipped(const fs::path& file) {
  if (!fs::exists(file)) BOOST_TEST_MESSAGE("skipped: no " << file);
  return !fs::exists(file);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sampler_gradients)

BOOST_AUTO_TEST_CASE(of_the_bundled_network_with_guidance) {
  check_sampler("fashion-unet", costate::source_dir() / "tests/data/fashion-unet/sample.h5");
}

BOOST_AUTO_TEST_CASE(of_a_blind_denoiser_of_faces) {
  const fs::path folder = shared_dir() / "weights/celeba-multiscale";
  if (skipped(folder)) return;
  check_sampler((folder / "low40.pt").string(), folder / "low40.sample.h5");
}

BOOST_AUTO_TEST_CASE(of_a_network_with_layer_norm) {
  const fs::path folder = shared_dir() / "weights/mnist-unet-ln";
  if (skipped(folder)) return;
  check_sampler((folder / "model_unet_res.pth").string(), folder / "sample.h5");
}

BOOST_AUTO_TEST_CASE(of_a_transformer_with_and_without_guidance) {
  const fs::path folder = shared_dir() / "weights/mnist-cond-vit";
  if (skipped(folder)) return;
  check_sampler((folder / "DiffusionViT.pth").string(), folder / "sample.h5");
  check_sampler((folder / "DiffusionViT.pth").string(), folder / "guided.sample.h5");
}

BOOST_AUTO_TEST_CASE(of_an_exact_problem_with_its_own_z) {
  const Folder folder;
  costate::test::spill(folder / "normal.json", R"({"family": "gaussian_mixture", "weights": [0.6, 0.4],
    "means": [[1, 0.3], [-0.7, 0.9]], "covariances": [[[0.04, 0], [0, 0.04]], [[0.04, 0], [0, 0.04]]],
    "schedule": {"type": "vp_linear", "t_min": 0.01}})");
  const std::string model = (folder / "normal.json").string();
  const Hdf5Reader all = result(folder, {"grad", model, "--steps", "6", "--grid", "lambda", "-n", "3"});
  const auto z = all.read("g_z"), theta = all.read("g_theta/theta");
  BOOST_TEST((z.shape() == costate::Shape{1, 2} && theta.shape() == costate::Shape{1}));
  const Hdf5Reader alone = result(folder, {"grad", model, "--steps", "6", "--grid", "lambda", "-n", "3", "--wrt", "z"});
  BOOST_TEST(alone.read("g_z").to_vector() == z.to_vector());
  BOOST_TEST((!alone.contains("g_x_T") && !alone.contains("g_theta/theta")));
}

BOOST_AUTO_TEST_CASE(of_the_small_network_by_every_method) {
  const fs::path fixtures = shared_dir() / "fixtures/gradients";
  if (skipped(fixtures)) return;
  struct Case {
    const char *file, *name;
    std::vector<std::string> options;
    bool all = true;  ///< z and theta, too
  };
  const Case cases[] = {
      {"direct", "vp-t-ddim-n10", {"--adjoint", "direct"}},
      {"direct", "vp-lambda-heun-n10", {"--sampler", "heun"}},
      {"direct", "ve-dpmpp-2m-n10", {"--sampler", "dpmpp-2m"}},
      {"direct", "edm-sde-ddim-eta1-n10", {"--eta", "1"}},
      {"direct", "vp-t-sde-dpm-1-n10", {"--sampler", "sde-dpm-1"}},
      {"adjoint-deis", "vp-t-ode-cached-ddim-o1-m10", {"--adjoint", "adjointdeis-1"}},
      {"adjoint-deis", "edm-ode-resolved-ddim-o2-m10", {"--adjoint", "adjointdeis-2m", "--states", "resolved"}},
      {"adjoint-deis", "ve-sde-cached-sde-dpm-1-o2-m10", {"--adjoint", "adjointdeis-2m", "--sampler", "sde-dpm-1"}},
      {"adjoint-deis", "vp-t-ode-released-o1-m10", {"--adjoint", "adjointdeis-1", "--adjoint-set", "skip_last=true"}},
      {"adjoint-dpm", "vp-t-midpoint-n10", {"--adjoint", "adjointdpm", "--sampler", "midpoint"}},
      {"adjoint-dpm", "vp-lambda-rk4-n10", {"--adjoint", "adjointdpm", "--sampler", "rk4", "--set", "rule=3/8"}},
      {"symplectic", "vp-t-midpoint-n10", {"--adjoint", "symplectic", "--sampler", "midpoint"}},
      {"symplectic", "vp-t-rk4-n10", {"--adjoint", "symplectic", "--sampler", "rk4"}},
      {"df-ea", "vp-t-noisy-n10", {"--adjoint", "endpoint-fisher", "--wrt", "x_T"}, false}};
  for (const auto& c : cases) {
    const std::string name = c.name,
                      clock = name.substr(0, name.rfind("vp-", 0) == 0 ? name.find('-', 3) : name.find('-'));
    const Folder folder;
    const Hdf5Reader inputs(fixtures / "inputs.h5"), want(fixtures / (std::string(c.file) + ".h5"));
    const std::string start = (folder / "start.h5").string();
    Hdf5Writer out(start);
    for (const char* key : {"x_T", "z", "w"}) out.write(key, inputs.read(clock + "/" + key));
    for (const char* key : {"grid_t", "grid_alpha", "grid_sigma", "noise"})
      if (want.contains(name + "/" + key)) out.write(key, want.read(name + "/" + key));
    out.finish();
    std::vector<std::string> arguments{
        "grad", (fixtures / "tiny-eps-net.safetensors").string(), "--start", start, "--grid", start, "--quiet"};
    arguments.insert(arguments.end(), c.options.begin(), c.options.end());
    const Hdf5Reader g = result(folder, arguments);
    const std::string what = std::string(c.file) + "/" + name;
    check_close(g.read("x_0").to_vector(), want.read(name + "/x_0").to_vector(), 1e-10, what + "/x_0");
    check_close(g.read("g_x_T").to_vector(), want.read(name + "/g_x").to_vector(), 1e-10, what + "/g_x");
    if (!c.all) continue;
    check_close(g.read("g_z").to_vector(), want.read(name + "/g_z").to_vector(), 1e-10, what + "/g_z");
    std::vector<double> theta;
    for (const char* key : {"l1.weight", "l1.bias", "l2.weight", "l2.bias", "l3.weight", "l3.bias"}) {
      const auto part = g.read(std::string("g_theta/") + key).to_vector();
      theta.insert(theta.end(), part.begin(), part.end());
    }
    check_close(theta, want.read(name + "/g_theta").to_vector(), 1e-10, what + "/g_theta");
  }
}

// <w, x_0> with what files of f32 hold, as with the same numbers in f64.
BOOST_AUTO_TEST_CASE(weights_of_the_loss_may_be_of_any_type) {
  const Folder folder;
  const Tensor x = costate::normal_noise(1, 0, 1, 0, {28, 28, 1}, {costate::DType::f32}),
               w = costate::normal_noise(2, 0, 1, 0, {28, 28, 1}, {costate::DType::f32});
  const auto gradient = [&](const char* name, costate::DType type) {
    const std::string file = (folder / name).string();
    Hdf5Writer out(file);
    out.write("x_T", cast(x, type));
    out.write("w", cast(w, type));
    out.finish();
    const std::vector<std::string> grad{"grad", "fashion-unet", "--class", "3", "--steps", "2", "--wrt", "x_T"};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.begin(), grad.begin(), grad.end());
      return result(folder, more).read("g_x_T").to_vector();
    };
    const auto g = with({"--start", file});
    BOOST_TEST(with({"--start", file, "--loss", "dot:" + file}) == g);
    return g;
  };
  BOOST_TEST(gradient("single.h5", costate::DType::f32) == gradient("double.h5", costate::DType::f64));
}

BOOST_AUTO_TEST_CASE(a_missing_condition_says_where_to_give_it) {
  const fs::path fixtures = shared_dir() / "fixtures/gradients";
  if (skipped(fixtures)) return;
  const auto o = run({"grad", (fixtures / "tiny-eps-net.safetensors").string(), "--steps", "2"});
  BOOST_TEST(o.code == 1);
  for (const char* part : {"conditional", "z (n, ...) of (3)", "--start"})
    BOOST_TEST(o.err.find(part) != std::string::npos, o.err);
}

BOOST_AUTO_TEST_SUITE_END()
