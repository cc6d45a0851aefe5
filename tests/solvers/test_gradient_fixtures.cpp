// Every case of shared/fixtures/gradients: an independent implementation (PyTorch, f64) of the sampler's own gradients, of
// the published adjoints, and of the packages they came with.
#include <nlohmann/json.hpp>

#include "autodiff/ops/cast.h"
#include "io/hdf5.h"
#include "tests/solvers/tiny_net.h"
#include "tests/support/paths.h"

namespace costate {
namespace {

constexpr double bound = 1e-10;

/// dx = -2 ... in the canonical state: y' = y + 2 (s' - s) eps + sqrt(s^2 - s'^2) z, of which the noise form of
/// SDE-DPM-Solver-1 is the same map.
Stepper sde_dpm_1() {
  return {.name = "sde-dpm-1 of the test", .eta = 1, .advance = [](const Step& step, const State& state) {
            const double s = step.from().s(), to = step.to().s();
            const Tensor eps = step.denoiser.eps(state.y, step.from(), step.p);
            return State{state.y + (2 * (to - s)) * eps + std::sqrt((s - to) * (s + to)) * step.normal(state.y), {}};
          }};
}

Stepper runge_kutta(const std::string& name) {
  const Tableau& tableau = find_tableau(name);
  return {.name = name,
          .order = tableau.order,
          .advance =
              [&tableau](const Step& step, const State& state) {
                const auto field = [&](double s, const Tensors& y) {
                  const Level at = s == step.from().s() ? step.from()
                                   : s == step.to().s() ? step.to()
                                                        : step.at_lambda(-std::log(s));
                  return Tensors{step.denoiser.eps(y[0], at, step.p)};
                };
                return State{rk_step(tableau, field, step.from().s(), step.to().s(), {state.y})[0], {}};
              },
          .tableau = &tableau};
}

/// Visits stored states (levels, n, ...) of x, whatever the network says.
Stepper replay(const Tensor& x) {
  return {.name = "replay", .advance = [x](const Step& step, const State& state) {
            return State{x.rows(step.index + 1, 1).reshaped(state.y.shape()) / step.to().scale(), {}};
          }};
}

class Fixtures {
 public:
  explicit Fixtures(const std::string& kind)
      : folder_(shared_dir() / "fixtures/gradients"), kind_(kind), inputs_(path("inputs")), cases_(path(kind)) {
    const Hdf5Reader weights((source_dir() / "tests/data/solvers/gradients.h5").string());
    for (const char* name : weight_names)
      theta_.push_back(cast(weights.read(std::string("weights/") + name), DType::f64));
  }
  [[nodiscard]] Tensor read(const std::string& name, const std::string& key) const {
    return cases_.read(name + "/" + key);
  }
  /// Whether the file holds the case.
  [[nodiscard]] bool has(const std::string& name) const { return cases_.contains(name + "/g_x"); }

  [[nodiscard]] Sampler sampler(const std::string& clock, const std::string& name, const Stepper& stepper) const {
    const auto t = read(name, "grid_t").to_vector(), a = read(name, "grid_alpha").to_vector(),
               g = read(name, "grid_sigma").to_vector();
    Sampler s{.denoiser = {.net = tiny_net, .prediction = Prediction::epsilon, .dtype = DType::f64},
              .grid = {},
              .stepper = stepper};
    for (std::size_t i = 0; i < t.size(); ++i) s.grid.push_back({t[i], a[i], g[i]});
    s.schedule = schedule_of(clock == "ve"    ? R"({"type": "ve", "sigma_min": 0.01, "sigma_max": 50})"
                             : clock == "edm" ? R"({"type": "edm"})"
                                              : R"({"type": "vp_linear", "t_min": 0.001})");
    if (cases_.contains(name + "/noise")) s.noise = recorded_noise(read(name, "noise"));
    return s;
  }
  [[nodiscard]] Gradient gradient(const std::string& clock, const Sampler& sampler, const std::string& adjoint,
                                  const std::string& options, bool wrt_p = true) const {
    const Tensor w = inputs_.read(clock + "/w");
    Tensors p{inputs_.read(clock + "/z")};
    p.insert(p.end(), theta_.begin(), theta_.end());
    return make_adjoint(adjoint, Config::parse(options, "test"))
        .gradient({.sampler = sampler,
                   .x_T = inputs_.read(clock + "/x_T"),
                   .p = p,
                   .wrt_p = Wanted(p.size(), wrt_p),
                   .loss = [w](const Tensor& x_0) { return inner(w, x_0); }});
  }
  void check(const std::string& name, const Gradient& g, double within = bound) const {
    const std::string what = kind_ + "/" + name;
    check_close(g.x_0, read(name, "x_0"), what + "/x_0", within);
    check_close(g.x_T, read(name, "g_x"), what + "/g_x", within);
    if (!g.p[0].defined()) return;
    Tensors flat;
    for (std::size_t i = 1; i < g.p.size(); ++i) flat.push_back(reshape(g.p[i], {g.p[i].size()}));
    check_close(g.p[0], read(name, "g_z"), what + "/g_z", within);
    check_close(concat(flat, 0), read(name, "g_theta"), what + "/g_theta", within);
  }

 private:
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / (name + ".h5")).string(); }
  std::filesystem::path folder_;
  std::string kind_;
  Hdf5Reader inputs_, cases_;
  Tensors theta_;
};

constexpr const char* clocks[] = {"vp-t", "vp-lambda", "ve", "edm"};
constexpr int counts[] = {5, 10, 20, 50, 100};

/// Runs body(clock, steps) over all clocks and step counts of the files.
template <class Body>
void for_all(const Body& body) {
  for (const std::string clock : clocks) {
    for (const int n : counts) body(clock, std::to_string(n));
  }
}

/// With the files of shared/, which a checkout of this repository alone has not.
bool skipped() {
  const bool missing = !std::filesystem::exists(shared_dir() / "fixtures/gradients/inputs.h5");
  if (missing) BOOST_TEST_MESSAGE("skipped: no " << (shared_dir() / "fixtures/gradients").string());
  return missing;
}

BOOST_AUTO_TEST_SUITE(gradient_fixtures)

BOOST_AUTO_TEST_CASE(samplers_own_gradient) {
  if (skipped()) return;
  const Fixtures f("direct");
  for_all([&](const std::string& clock, const std::string& n) {
    for (const std::string method : {"ddim", "dpmpp-2m", "heun", "sde-ddim-eta1", "sde-dpm-1"}) {
      const std::string name = clock + "-" + method + "-n" + n;
      if (!f.has(name)) continue;
      const Stepper stepper = method == "sde-dpm-1"       ? sde_dpm_1()
                              : method == "sde-ddim-eta1" ? stepper_of("ddim", R"({"eta": 1})")
                                                          : make_stepper(method);
      const Sampler sampler = f.sampler(clock, name, stepper);
      f.check(name, f.gradient(clock, sampler, "checkpointed", "{}"));
      f.check(name, f.gradient(clock, sampler, "direct", "{}"));
      if (stepper.tableau != nullptr) f.check(name, f.gradient(clock, sampler, "symplectic", "{}"));
    }
  });
}

BOOST_AUTO_TEST_CASE(adjointdeis_as_published) {
  if (skipped()) return;
  const Fixtures f("adjoint-deis");
  int checked = 0;
  for_all([&](const std::string& clock, const std::string& m) {
    for (const std::string kind : {"ode-cached-ddim", "ode-exact", "ode-resolved-ddim", "sde-cached-sde-dpm-1",
                                   "ode-released", "sde-released"}) {
      for (const std::string order : {"1", "2"}) {
        const std::string name = clock + "-" + kind + "-o" + order + "-m" + m;
        if (!f.has(name)) continue;
        const bool sde = kind.rfind("sde", 0) == 0;
        const Stepper stepper = sde                   ? sde_dpm_1()
                                : kind == "ode-exact" ? replay(f.read(name, "x"))
                                                      : make_stepper("ddim");
        const std::string options = kind == "ode-resolved-ddim"                  ? R"({"states": "resolved"})"
                                    : kind.find("released") != std::string::npos ? R"({"skip_last": true})"
                                                                                 : "{}";
        const Gradient g = f.gradient(clock, f.sampler(clock, name, stepper),
                                      order == "1" ? "adjointdeis-1" : "adjointdeis-2m", options);
        f.check(name, g);
        ++checked;
      }
    }
  });
  BOOST_TEST(checked == 200);
}

BOOST_AUTO_TEST_CASE(adjointdpm_and_symplectic_as_released) {
  if (skipped()) return;
  const Fixtures dpm("adjoint-dpm"), symplectic("symplectic");
  for_all([&](const std::string& clock, const std::string& n) {
    for (const std::string method : {"euler", "midpoint", "rk4"}) {
      const std::string name = clock + "-" + method + "-n" + n;
      if (!dpm.has(name)) continue;
      dpm.check(name, dpm.gradient(clock, dpm.sampler(clock, name, runge_kutta(method == "rk4" ? "rk4-38" : method)),
                                   "adjointdpm", "{}"));
      symplectic.check(
          name, symplectic.gradient(clock, symplectic.sampler(clock, name, runge_kutta(method)), "symplectic", "{}"));
    }
  });
}

BOOST_AUTO_TEST_CASE(endpoint_fisher) {
  if (skipped()) return;
  const Fixtures f("df-ea");
  for_all([&](const std::string& clock, const std::string& n) {
    for (const std::string end : {"clean", "noisy"}) {
      const std::string name = clock + "-" + end + "-n" + n;
      if (!f.has(name)) continue;
      f.check(name, f.gradient(clock, f.sampler(clock, name, make_stepper("ddim")), "endpoint-fisher",
                               R"({"end": ")" + end + "\"}", false));
    }
  });
}

BOOST_AUTO_TEST_CASE(continuous_truth_at_the_stated_order) {
  if (skipped()) return;
  const Fixtures truth("truth"), cases("adjoint-deis");
  const auto error = [&](const std::string& name, const std::string& adjoint) {
    const Gradient g =
        cases.gradient("vp-lambda", cases.sampler("vp-lambda", name, replay(cases.read(name, "x"))), adjoint, "{}");
    const Tensor off = g.x_T - truth.read("vp-lambda", "g_x");
    return std::sqrt(inner(off, off).item());
  };
  for (const std::string order : {"1", "2"}) {
    const std::string adjoint = order == "1" ? "adjointdeis-1" : "adjointdeis-2m";
    const double coarse = error("vp-lambda-ode-exact-o" + order + "-m50", adjoint),
                 fine = error("vp-lambda-ode-exact-o" + order + "-m100", adjoint);
    BOOST_TEST_MESSAGE(adjoint << ": error " << coarse << " at 50 and " << fine << " at 100 steps");
    BOOST_TEST(std::log2(coarse / fine) > (order == "1" ? 0.4 : 1.7));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
