// Gradients of a small trained network against an independent implementation (NumPy, f64): 20 steps, four clocks.
//
// tests/data/solvers/gradients.h5 holds the network's weights (out, in), and for each clock x_T, z, w, the grid, and
// for each method the gradients of sum(w x_0). It is a part of what make_gradients.py of the project's fixtures wrote.
#include "autodiff/ops/cast.h"
#include "io/hdf5.h"
#include "tests/solvers/tiny_net.h"
#include "tests/support/paths.h"

namespace costate {
namespace {

Grid grid_of(const Hdf5Reader& file, const std::string& clock) {
  const auto t = file.read(clock + "/grid_t").to_vector(), alpha = file.read(clock + "/grid_alpha").to_vector(),
             sigma = file.read(clock + "/grid_sigma").to_vector();
  Grid grid;
  for (std::size_t i = 0; i < t.size(); ++i) grid.push_back({t[i], alpha[i], sigma[i]});
  return grid;
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
