// Gradients of a small trained network against an independent implementation (NumPy, f64): 20 steps, four clocks.
//
// tests/data/solvers/gradients.h5 holds the network's weights (out, in), and for each clock x_T, z, w, the grid, and
// for each method the gradients of sum(w x_0). It is a part of what make_gradients.py of the project's fixtures wrote.
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/silu.h"
#include "io/hdf5.h"
#include "tests/solvers/problems.h"
#include "tests/support/paths.h"

namespace costate {
namespace {

constexpr const char* weight_names[] = {"l1.weight", "l1.bias", "l2.weight", "l2.bias", "l3.weight", "l3.bias"};

Tensor layer(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor product =
      matmul(reshape(x, {1, x.dim(0), x.dim(1)}), reshape(weight, {1, weight.dim(0), weight.dim(1)}), false, true);
  return reshape(product, {x.dim(0), weight.dim(0)}) + reshape(bias, {1, bias.dim(0)});
}

/// eps = W3 silu(W2 silu(W1 u + b1) + b2) + b3, u = [c x, sin(2^k tau), cos(2^k tau), z], k = 0 ... 3; p = {z, W1, b1
/// ...}
Tensor tiny_net(const Tensor& x, const Level& at, const Tensors& p) {
  const double tau = std::log(at.sigma / at.alpha) / 4;
  std::vector<double> waves;
  for (int k = 0; k < 4; ++k) waves.push_back(std::sin(std::ldexp(tau, k)));
  for (int k = 0; k < 4; ++k) waves.push_back(std::cos(std::ldexp(tau, k)));
  const Tensor time = broadcast_to(row_of(waves), {x.dim(0), 8});
  const Tensor u = concat({x / std::hypot(at.alpha, at.sigma), time, p[0]}, 1);
  return layer(silu(layer(silu(layer(u, p[1], p[2])), p[3], p[4])), p[5], p[6]);
}

Grid grid_of(const Hdf5Reader& file, const std::string& clock) {
  const auto t = file.read(clock + "/grid_t").to_vector(), alpha = file.read(clock + "/grid_alpha").to_vector(),
             sigma = file.read(clock + "/grid_sigma").to_vector();
  Grid grid;
  for (std::size_t i = 0; i < t.size(); ++i) grid.push_back({t[i], alpha[i], sigma[i]});
  return grid;
}

/// Relative to the largest entry.
void check_close(const Tensor& found, const Tensor& expected, const std::string& what) {
  double worst = 0, largest = 0;
  const auto a = found.to_vector(), b = expected.to_vector();
  BOOST_REQUIRE_EQUAL(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  BOOST_TEST_MESSAGE(what << ": off by " << worst / largest);
  BOOST_TEST(worst <= 1e-12 * largest, what << ": off by " << worst / largest);
}

Gradient gradient_of(const Hdf5Reader& file, const std::string& clock, const Sampler& sampler,
                     const std::string& adjoint) {
  const Tensor w = file.read(clock + "/w");
  Tensors p{file.read(clock + "/z")};
  for (const char* name : weight_names) p.push_back(cast(file.read(std::string("weights/") + name), DType::f64));
  return make_adjoint(adjoint).gradient({.sampler = sampler,
                                         .x_T = file.read(clock + "/x_T"),
                                         .p = p,
                                         .wrt_x_T = true,
                                         .wrt_p = Wanted(p.size(), true),
                                         .loss = [w](const Tensor& x_0) { return inner(w, x_0); },
                                         .progress = {}});
}

/// `at`: clock/method/
void check_gradient(const Hdf5Reader& file, const std::string& at, const Gradient& g) {
  Tensors flat;
  for (std::size_t i = 1; i < g.p.size(); ++i) flat.push_back(reshape(g.p[i], {g.p[i].size()}));
  check_close(g.x_0, file.read(at + "x_0"), at + "x_0");
  check_close(g.x_T, file.read(at + "g_x"), at + "g_x");
  check_close(g.p[0], file.read(at + "g_z"), at + "g_z");
  check_close(concat(flat, 0), file.read(at + "g_theta"), at + "g_theta");
}

BOOST_AUTO_TEST_SUITE(reference_gradients)

BOOST_AUTO_TEST_CASE(of_a_trained_network) {
  const Hdf5Reader file((source_dir() / "tests/data/solvers/gradients.h5").string());
  for (const std::string clock : {"vp-t", "vp-lambda", "ve", "edm"}) {
    Sampler sampler{.denoiser = {.net = tiny_net, .prediction = Prediction::epsilon, .dtype = DType::f64},
                    .grid = grid_of(file, clock),
                    .stepper = make_stepper("ddim")};
    check_gradient(file, clock + "/adjointdeis-1/", gradient_of(file, clock, sampler, "adjointdeis-1"));
    for (const std::string method : {"ddim", "dpmpp-2m", "heun", "sde-ddim-eta1"}) {
      const bool noisy = method == "sde-ddim-eta1";
      sampler.stepper = noisy ? stepper_of("ddim", R"({"eta": 1})") : make_stepper(method);
      if (noisy) sampler.noise = recorded_noise(file.read(clock + "/sde-ddim-eta1/noise"));
      const Gradient g = gradient_of(file, clock, sampler, "checkpointed"),
                     direct = gradient_of(file, clock, sampler, "direct");
      check_gradient(file, clock + "/" + method + "/", g);
      BOOST_TEST(g.x_T.to_vector() == direct.x_T.to_vector());
      for (std::size_t i = 0; i < g.p.size(); ++i) BOOST_TEST(g.p[i].to_vector() == direct.p[i].to_vector());
    }
  }
}

BOOST_AUTO_TEST_CASE(grids_of_the_four_clocks) {
  const Hdf5Reader file((source_dir() / "tests/data/solvers/gradients.h5").string());
  const auto check = [&](const std::string& clock, const Grid& made) {
    const Grid expected = grid_of(file, clock);
    BOOST_REQUIRE(made.size() == expected.size());
    for (std::size_t i = 0; i < made.size(); ++i) {
      BOOST_TEST(made[i].t == expected[i].t, boost::test_tools::tolerance(1e-12));
      BOOST_TEST(made[i].alpha == expected[i].alpha, boost::test_tools::tolerance(1e-12));
      BOOST_TEST(made[i].sigma == expected[i].sigma, boost::test_tools::tolerance(1e-12));
    }
  };
  check("vp-t", make_grid("t", *vp_linear(), 20));
  check("vp-lambda", make_grid("lambda", *vp_linear(), 20));
  check("edm", make_grid("karras", *schedule_of(R"({"type": "edm"})"), 20, FinalLevel::first));
  const auto ve = schedule_of(R"({"type": "ve"})");
  check("ve", make_grid("t", *ve, 20));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
